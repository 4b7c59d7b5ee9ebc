"""Instruments that are reserved while one works with them: queue for them, and be refused once they are another's.

Within one process a reservation is shared: whoever asks for what is reserved here already joins, and the last one to
leave gives it back. What happens at every other end (also kill -9) is the service's business.
"""

import asyncio
import math
import os
import sys
import threading
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, final

from labnb.core import PlanError, ReservationLost
from labnb.instruments import locate, permit
from labnb.session._blocking import unbroken

if TYPE_CHECKING:
    from labnb.sharing import Held, ReservationClient, Wait

Patience = bool | float
"""How long to queue: True for ever, a number of seconds at most; False: do not reserve."""


def resource_of(thing: Any, **options: Any) -> str:  # Any: instruments of any kind, options of `connect`
    """Return the name by which `thing` is reserved: its VISA address, wherever a gateway serves it.

    `thing` is an instrument, or what `connect(thing, **options)` would connect. What stands on a simulated bench is
    named with the bench.
    """
    from labnb.sharing import origin

    address, library = locate(thing, **options)
    address, library = origin(address, library)
    if not address:
        raise PlanError(f"{thing!r} has no address to reserve it by; reserve it by a name of your own, as a text")
    return f"{address} of {library}" if library.endswith("@labnb") else address


@final
class Reserving:
    """What one bench, session or block has reserved."""

    def __init__(self) -> None:
        self._shares: list[_Share] = []
        self._guarded: list[Any] = []  # instruments of any kind

    async def take(self, resources: Sequence[str], patience: Patience) -> None:
        """Reserve all of `resources` at once, as soon as they are free. Cancelling leaves the queue.

        Raises Reserved, naming who has them, if that takes longer than `patience`.
        """
        asking = _Asking(resources, patience)
        work = asyncio.ensure_future(asyncio.to_thread(asking.share))
        try:
            self._shares += await asyncio.shield(work)
        except asyncio.CancelledError:
            asking.give_up()
            with suppress(Exception):  # nobody asks any more why it failed
                for share in await unbroken(lambda: _settled(work)):
                    _leave(share)
            raise

    def take_now(self, resources: Sequence[str], patience: Patience) -> None:
        """Do the same and block for it."""
        asking = _Asking(resources, patience)
        try:
            self._shares += asking.share()
        finally:
            asking.give_up()

    def guard(self, instrument: Any, resource: str) -> None:  # Any: of whatever driver
        """Refuse `instrument` everything, by ReservationLost, as soon as the reservation of `resource` is lost."""
        for share in self._shares:
            if resource in share.resources:
                permit(instrument, share.held.check)
                self._guarded.append(instrument)

    @property
    def lost(self) -> ReservationLost | None:
        """Why something is reserved no more; None while all is."""
        for share in self._shares:
            try:
                share.held.check()
            except ReservationLost as error:
                return error
        return None

    async def leave(self) -> None:
        """Do what `release` does without blocking the loop."""
        if self._shares:
            await unbroken(lambda: asyncio.to_thread(self.release))

    def release(self) -> None:
        """Give back what nobody else of this process uses; what was taken away is gone."""
        shares, self._shares = self._shares, []
        guarded, self._guarded = self._guarded, []
        kept = [share for share in shares if not _leave(share)]
        for instrument in guarded if not kept else ():
            permit(instrument, None)


async def _settled(work: "asyncio.Future[list[_Share]]") -> "list[_Share]":
    return await asyncio.shield(work)


@dataclass(eq=False, slots=True)
class _Share:
    """One reservation of this process, and how many use it."""

    client: "ReservationClient"
    held: "Held"
    resources: tuple[str, ...]
    users: int = field(default=1)


_lock = threading.Lock()
_mine: dict[str, _Share] = {}


def _leave(share: _Share) -> bool:
    """Leave a shared reservation; return whether it was given back by that."""
    with _lock:
        share.users -= 1
        if share.users:
            return False
        for name in share.resources:
            if _mine.get(name) is share:
                del _mine[name]
    share.client.close()  # gives back, if it is still ours
    return True


class _Asking:
    """One request, which may be given up from another thread."""

    def __init__(self, resources: Sequence[str], patience: Patience) -> None:
        self._resources = resources
        self._timeout_s = timeout_of(patience)
        self._client: ReservationClient | None = None
        self._given_up = False

    def share(self) -> list[_Share]:
        """Return the reservations that cover all that is asked for, each joined."""
        with _lock:
            joined = {_mine[name] for name in self._resources if name in _mine and _mine[name].held.is_held}
            for share in joined:
                share.users += 1
            covered = {name for share in joined for name in share.resources}
        wanted = [name for name in dict.fromkeys(self._resources) if name not in covered]
        try:
            return [*joined, *([self._reserved(wanted)] if wanted else [])]
        except BaseException:
            for share in joined:
                _leave(share)
            raise

    def _reserved(self, wanted: Sequence[str]) -> _Share:
        from labnb.sharing import ReservationClient

        client = self._client = ReservationClient(note=own_note())
        if self._given_up:
            client.close()  # it can reserve nothing any more, and says so
        try:
            held = client.reserve(wanted, timeout=self._timeout_s, on_wait=_tell)
        except BaseException:
            client.close()
            raise
        share = _Share(client, held, tuple(wanted))
        with _lock:
            _mine.update(dict.fromkeys(wanted, share))
        self._client = None
        return share

    def give_up(self) -> None:
        """Leave the queue, if it still waits."""
        self._given_up = True
        client = self._client
        if client is not None:
            client.close()


def release_own(token: str) -> bool:
    """Give back the reservation `token` if this process has it by `reserve`; return whether it does.

    Whoever uses it still gets ReservationLost at the next exchange.
    """
    with _lock:
        share = next((each for each in _mine.values() if each.held.token == token), None)
        for name in share.resources if share is not None else ():
            del _mine[name]
    if share is None:
        return False
    share.held.release()
    return True


def timeout_of(patience: Patience) -> float:
    """Return it as clients take it, in s; below 0 is for ever. Raises PlanError for what is no time."""
    if patience is True:
        return -1.0
    if isinstance(patience, bool) or not isinstance(patience, int | float) or math.isnan(patience) or patience < 0:  # pyright: ignore[reportUnnecessaryIsInstance]  people write notebooks without a checker
        raise PlanError(f"reserve={patience!r}: expected True (queue until it is free) or how long to queue, in s")
    return float(patience)


def own_note() -> str:
    """Return what others are shown beside this process: the notebook's name, or the program's."""
    notebook = os.environ.get("JPY_SESSION_NAME", "")
    return Path(notebook or sys.argv[0] or "python").name


def _tell(wait: "Wait") -> None:
    """Show a person why nothing happens."""
    sys.stdout.write(f"{wait}\n")
    sys.stdout.flush()


@final
class Reserve:
    """A block in which instruments are reserved: `async with reserve(psu):`, or `with` in a script."""

    def __init__(self, things: Sequence[Any], patience: Patience) -> None:  # Any: instruments of any kind
        timeout_of(patience)  # what is no time is told at once
        self._things, self._patience = things, patience
        self._reserving = Reserving()

    def _names(self) -> dict[str, Any]:
        return {_name(each): each for each in _unfolded(self._things)}

    def _guard(self, names: dict[str, Any]) -> Self:
        for name, thing in names.items():
            if not isinstance(thing, str):
                self._reserving.guard(thing, name)
        return self

    async def __aenter__(self) -> Self:
        names = self._names()
        await self._reserving.take(list(names), self._patience)
        return self._guard(names)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        lost = self._reserving.lost
        await self._reserving.leave()
        self._say(lost, error)

    def __enter__(self) -> Self:
        names = self._names()
        self._reserving.take_now(list(names), self._patience)
        return self._guard(names)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        lost = self._reserving.lost
        self._reserving.release()
        self._say(lost, error)

    def _say(self, lost: ReservationLost | None, error: BaseException | None) -> None:
        if lost is not None and error is None:
            raise lost


def reserve(*things: Any, wait: Patience = True) -> Reserve:  # Any: instruments of any kind
    """Hold instruments for a block: `async with labnb.reserve(psu, dmm):`; in a script `with labnb.reserve(psu):`.

    `things` are instruments of whatever driver, benches (all of their instruments), VISA addresses, or names of your own. All
    are reserved at once, as soon as they are free; `wait` says for how long to queue, in s. Meanwhile it is shown who has
    them. If they are taken away, labnb's instruments, and channels of other people's, raise ReservationLost at the next
    exchange, and the block's end does otherwise. Raises Reserved after `wait`.
    """
    if not things:
        raise PlanError("reserve what? give instruments, benches, or names")
    return Reserve(things, wait)


def _name(thing: Any) -> str:  # Any: as above
    """Return what `thing` is reserved by: a text is a name of its own, unless it is an address."""
    return thing if isinstance(thing, str) and "::" not in thing else resource_of(thing)


def _unfolded(things: Iterable[Any]) -> list[Any]:  # Any: as above
    from labnb.session.bench import Bench

    return [each for thing in things for each in (thing.instruments.values() if isinstance(thing, Bench) else [thing])]
