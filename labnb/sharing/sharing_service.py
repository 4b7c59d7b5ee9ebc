"""labnb's own procedures: reserve instruments by name, keep them, take them away, see who has what."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress

from labnb.core import ReservationLost
from labnb.sharing.callers import identify
from labnb.sharing.desk import Desk
from labnb.sharing.messages import Message, sharing_messages
from labnb.sharing.peers import Peers
from labnb.sharing.places import Place, place
from labnb.sharing.session_service import InvalidRequest, claim_of, mode_of, timeout_of
from labnb.sharing.table import Claim, Hold, Holder, Waiter

CLAIMING_S = 10.0
WATCH_INTERVAL_S = 0.02
_TELLING_S = 0.0005  # what it costs to tell one of a change, with room for everything else


class Taken(ReservationLost):
    """A hold that is kept alive has ended, and not by its holder."""


class SharingService:
    """Reserve, KeepAlive, Release, ForceRelease, Watch."""

    def __init__(self, desk: Desk, peers: Peers) -> None:
        self._desk = desk
        self._peers = peers

    async def reserve(self, request: Message, peer: str) -> AsyncIterator[Message]:
        """Yield who is in the way until there is a token; then wait until its holder keeps it alive.

        What is granted to somebody who is gone meanwhile, or never keeps it, is given back.
        """
        timeout_s = timeout_of(request)
        claim = self._claim(request, peer)
        queue: asyncio.Queue[Waiter] = asyncio.Queue()
        reserving = asyncio.ensure_future(self._desk.reserve(claim, timeout_s, queue.put_nowait))
        try:
            async for update in self._until_done(reserving, queue):
                yield update
            hold = await reserving
            yield sharing_messages.ReserveUpdate(token=str(hold.token))
            await self._kept(hold.token)
        finally:
            reserving.cancel()
            await asyncio.wait([reserving])
            if not reserving.cancelled() and reserving.exception() is None:
                self._give_back_unless_kept(reserving.result())

    async def keep_alive(self, request: Message, peer: str) -> AsyncIterator[None]:
        """Say that it began, then wait while the hold lasts; it ends with an error if its holder did not release it.

        No message is sent: a client would have to read it before it learns of the end.
        """
        with self._desk.keeping(_token(request.token)) as ended:
            yield None
            why = await ended
        if why != "was released":
            raise Taken(f"reservation {request.token} {why}")

    async def release(self, request: Message, peer: str) -> Message:
        """Give back a hold."""
        self._desk.release(_token(request.token))
        return sharing_messages.ReleaseResponse()

    async def force_release(self, request: Message, peer: str) -> Message:
        """Take a hold away from whoever has it, if it is still the one that was seen."""
        holder, _ = identify(peer, dict(request.annotations), self._peers)
        reason = f": {request.reason}" if request.reason else ""
        self._desk.release(_token(request.token), why=f"was taken away by {holder}{reason}")
        return sharing_messages.ForceReleaseResponse()

    async def watch(self, request: Message, peer: str) -> AsyncIterator[Message]:
        """Yield who has what and who waits, now and after every change."""
        async for _ in self._desk.changes():
            yield self._situation()
            await asyncio.sleep(self._pause_s())  # many changes at once are one

    def _claim(self, request: Message, peer: str) -> Claim:
        sessions: dict[str, frozenset[Place]] = {}
        for each in request.resources:
            if not each.instrument.strip():
                raise InvalidRequest("an instrument to reserve has no name")
            name = f"{each.instrument}/{each.channel}" if each.channel else each.instrument
            sessions[name] = frozenset({place(each.instrument, each.channel)})
        if not sessions:
            raise InvalidRequest("no instrument is named to be reserved")
        mode = mode_of(request.mode)
        made = claim_of(sessions, dict(request.annotations), peer, self._peers)
        return Claim(sessions, made.holder, mode, made.lease, made.annotations)

    async def _until_done(
        self, reserving: "asyncio.Future[Hold]", queue: "asyncio.Queue[Waiter]"
    ) -> AsyncIterator[Message]:
        """Yield the position in the queue, and who is in the way, each time that it changes."""
        waiting = asyncio.ensure_future(queue.get())
        try:
            await asyncio.wait([reserving, waiting], return_when=asyncio.FIRST_COMPLETED)
            if not waiting.done():
                return
            waiter, told = waiting.result(), None
            async for _ in self._desk.changes():
                if reserving.done() or not self._desk.table.position(waiter):
                    return
                update = self._waiting(waiter)
                if update != told:
                    told = update
                    yield update
                await asyncio.wait([reserving], timeout=self._pause_s())
        finally:
            waiting.cancel()

    def _pause_s(self) -> float:
        """Return how long somebody is not told of changes after the last: the more are told, the longer."""
        return max(WATCH_INTERVAL_S, len(self._desk.table.queue) * _TELLING_S)

    async def _kept(self, token: int) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(CLAIMING_S):
                await self._taken_up(token)

    async def _taken_up(self, token: int) -> None:
        async for _ in self._desk.changes():
            if self._desk.is_kept(token) or token not in self._desk.table.holds:
                return

    def _give_back_unless_kept(self, hold: Hold) -> None:
        if hold.token in self._desk.table.holds and not self._desk.is_kept(hold.token):
            self._desk.release(hold.token, why="was never taken up by who asked for it")

    def _waiting(self, waiter: Waiter) -> Message:
        table = self._desk.table
        return sharing_messages.ReserveUpdate(
            position=table.position(waiter), in_the_way=[_told(hold) for hold in table.in_the_way(waiter.claim)]
        )

    def _situation(self) -> Message:
        table = self._desk.table
        situation = sharing_messages.Situation(holds=[_told(hold) for hold in table.holds.values()])
        for waiter in table.queue:
            situation.queue.add(
                sessions=list(waiter.claim.sessions),
                mode=waiter.claim.mode,
                holder=_who(waiter.claim.holder),
                position=table.position(waiter),
            )
        return situation


def _told(hold: Hold) -> Message:
    return sharing_messages.Hold(
        token=str(hold.token),
        sessions=list(hold.claim.sessions),
        mode=hold.claim.mode,
        holder=_who(hold.claim.holder),
        since_ns=hold.since_ns,
    )


def _who(holder: Holder) -> Message:
    return sharing_messages.Holder(host=holder.host, user=holder.user, pid=holder.pid, note=holder.note)


def _token(text: str) -> int:
    if not text.isdecimal():
        raise ReservationLost(f"{text!r} is not a token of this service")
    return int(text)
