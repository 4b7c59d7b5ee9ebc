"""The desk of the service: the table with people waiting at it, leases that end, what is remembered over a restart.

Everything runs on one event loop; a method that does not wait is not interrupted.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Generator, Iterable, Mapping
from contextlib import contextmanager, suppress
from typing import cast

from labnb.core import Json, ReservationError, ReservationLost, Reserved, present_clock
from labnb.sharing.callers import this_machine
from labnb.sharing.journal import Entry, Journal
from labnb.sharing.leases import Lease
from labnb.sharing.places import Place
from labnb.sharing.registry import Registry
from labnb.sharing.table import Claim, Grant, Hold, Holder, Mode, Table, Waiter

LEASE_CHECK_S = 0.1
_REMEMBERED_ENDS = 1000
_LINES_BEFORE_REWRITING = 20_000

_log = logging.getLogger(__name__)

Waiting = Callable[[Waiter], None]


class Desk:
    """Reservations, and the registry beside them, with a journal or (None) without a memory."""

    def __init__(self, journal: Journal | None = None) -> None:
        self._journal = journal
        self._last_token = 0
        self.table = Table(self._next_token)
        self.registry = Registry(self._write)
        self._waiting: dict[int, asyncio.Future[Hold]] = {}
        self._keepers: dict[int, list[asyncio.Future[str]]] = {}
        self._seen_s: dict[int, float] = {}
        self._ends: dict[int, str] = {}
        self._changed = asyncio.Event()
        self._held = asyncio.Event()
        if journal is not None:
            self._replay(list(journal.entries()))
            self._recheck()
            self._rewrite(journal)

    # ---- reservations

    async def reserve(self, claim: Claim, timeout_s: float | None, waiting: Waiting | None = None) -> Hold:
        """Return a hold on everything that the claim is for, after `timeout_s` (None: whenever) at most.

        `waiting` is called once if others are in the way. Raises Reserved, naming them. Whoever is cancelled leaves
        the queue, and gives back what came at the same moment.
        """
        asked = self.table.ask(claim)
        if isinstance(asked, Hold):
            return self._began(asked)
        if timeout_s == 0:
            self._leave(asked)
            raise Reserved(self.why_not(claim))
        granted = self._waiting[asked.number] = asyncio.get_running_loop().create_future()
        self._change()
        if waiting is not None:
            waiting(asked)
        try:
            async with asyncio.timeout(timeout_s):
                return await asyncio.shield(granted)
        except TimeoutError:
            if granted.done():
                return granted.result()
            raise Reserved(self.why_not(claim)) from None
        except asyncio.CancelledError:
            if granted.done():
                self.release(granted.result().token, why="was given up by who asked for it")
            raise
        finally:
            del self._waiting[asked.number]
            self._leave(asked)

    def release(self, token: int, sessions: Iterable[str] | None = None, why: str = "was released") -> None:
        """Give back a hold or some of its sessions. Raises ReservationLost if it is no more, saying why."""
        if token not in self.table.holds:
            raise ReservationLost(f"reservation {token} {self._ends.get(token, 'is not known here')}")
        names = None if sessions is None else list(sessions)
        grants = self.table.release(token, names)
        self._write({"do": "release", "token": token, "sessions": cast("Json", names)})
        if token not in self.table.holds:
            self._end(token, why)
        self._go_on(grants)

    def why_not(self, claim: Claim) -> str:
        """Return who is in the way of a claim, as a sentence."""
        now = present_clock().time_ns()
        told = [
            f"{', '.join(hold.claim.met_by(claim))} is reserved by {hold.claim.holder} for {max(0, now - hold.since_ns) / 1e9:.1f} s"
            f"{', to read' if hold.claim.mode == 'read' else ''}"
            for hold in self.table.in_the_way(claim)
        ]
        told += [
            f"{', '.join(each.claim.met_by(claim))} is waited for by {each.claim.holder}"
            for each in self.table.queue
            if each.claim is not claim and each.claim.disturbs(claim)
        ]
        return "; ".join(told) or "it was not free in time"

    @contextmanager
    def keeping(self, token: int) -> Generator["asyncio.Future[str]"]:
        """Keep a timed hold alive meanwhile; the future tells when and why the hold ended. Raises ReservationLost."""
        if token not in self.table.holds:
            raise ReservationLost(f"reservation {token} {self._ends.get(token, 'is not known here')}")
        ended: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._keepers.setdefault(token, []).append(ended)
        self._change()
        try:
            yield ended
        finally:
            left = self._keepers.get(token, [])
            if ended in left:
                left.remove(ended)
            if token in self.table.holds:
                self._seen_s[token] = present_clock().monotonic()

    def is_kept(self, token: int) -> bool:
        """Tell whether a keep-alive stream is open for this hold."""
        return bool(self._keepers.get(token))

    async def changes(self) -> AsyncIterator[None]:
        """Yield now, and then each time the table changed since."""
        while True:
            changed = self._changed
            yield
            await changed.wait()

    async def watch_leases(self) -> None:
        """Free, for ever, what a process held that is no more, and what a distant holder did not renew."""
        while True:
            await self._held.wait()
            await asyncio.sleep(LEASE_CHECK_S)
            for token, why in self._lapsed():
                with suppress(ReservationLost):
                    self.release(token, why=why)
            if not self.table.holds:
                self._held.clear()

    # ---- inside

    def _next_token(self) -> int:
        # Time makes it larger than all before, even if the journal was lost.
        self._last_token = max(self._last_token + 1, present_clock().time_ns())
        return self._last_token

    def _began(self, hold: Hold) -> Hold:
        self._seen_s[hold.token] = present_clock().monotonic()
        self._write({"do": "hold", **_from_hold(hold)})
        self._held.set()
        self._change()
        return hold

    def _end(self, token: int, why: str) -> None:
        self._ends[token] = why
        while len(self._ends) > _REMEMBERED_ENDS:
            del self._ends[next(iter(self._ends))]
        self._seen_s.pop(token, None)
        for ended in self._keepers.pop(token, []):
            if not ended.done():
                ended.set_result(why)

    def _leave(self, waiter: Waiter) -> None:
        self._go_on(self.table.withdraw(waiter))

    def _go_on(self, grants: list[Grant]) -> None:
        for waiter, hold in grants:
            self._began(hold)
            self._waiting[waiter.number].set_result(hold)
        self._change()

    def _change(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()

    def _lapsed(self) -> list[tuple[int, str]]:
        now = present_clock().monotonic()
        gone: dict[Lease, bool] = {}
        lapsed: list[tuple[int, str]] = []
        for token, hold in self.table.holds.items():
            lease = hold.claim.lease
            if lease.pid:
                if lease not in gone:
                    gone[lease] = lease.has_ended()
                if gone[lease]:
                    lapsed.append((token, f"ended with its process {lease.pid}"))
            elif lease.ttl_s and not self.is_kept(token) and now - self._seen_s[token] > lease.ttl_s:
                lapsed.append((token, f"was not renewed for {lease.ttl_s:g} s"))
        return lapsed

    # ---- memory

    def _write(self, entry: Entry) -> None:
        if self._journal is None:
            return
        try:
            self._journal.append(entry)
            if self._journal.lines > _LINES_BEFORE_REWRITING:
                self._rewrite(self._journal)
        except OSError as error:  # reservations go on; only a restart would not know of them
            _log.error("%s: %s; reservations are not kept over a restart", self._journal.path, error.strerror)
            self._journal = None

    def _rewrite(self, journal: Journal) -> None:
        holds: list[Entry] = [{"do": "hold", **_from_hold(hold)} for hold in self.table.holds.values()]
        journal.rewrite(
            [{"do": "token", "token": self._last_token, "machine": this_machine()}, *self.registry.entries(), *holds]
        )

    def _replay(self, entries: list[dict[str, Json]]) -> None:
        for entry in _of_this_start(entries):
            try:
                if not self.registry.replay(entry):
                    self._replay_hold(entry)
            except (KeyError, TypeError, ValueError, AttributeError) as error:
                raise ReservationError(
                    f"the journal of reservations has an entry that cannot be: {entry!r} ({error}); move the file away"
                ) from error

    def _replay_hold(self, entry: Entry) -> None:
        match entry["do"]:
            case "token":
                self._last_token = int(cast("int", entry["token"]))
            case "hold":
                hold = _to_hold(entry)
                self._last_token = max(self._last_token, hold.token)
                self.table.restore(hold)
            case "release":
                self.table.release(int(cast("int", entry["token"])), cast("list[str] | None", entry["sessions"]))
            case other:
                raise ValueError(f"unknown entry {other!r}")

    def _recheck(self) -> None:
        """Drop the holds of processes that ended meanwhile; the others are as if they had just been seen."""
        for token, hold in list(self.table.holds.items()):
            if hold.claim.lease.has_ended():
                self.table.release(token)
                self._ends[token] = f"ended with its process {hold.claim.lease.pid}"
            else:
                self._seen_s[token] = present_clock().monotonic()
                self._held.set()


def _of_this_start(entries: list[dict[str, Json]]) -> list[dict[str, Json]]:
    """Return what still counts: when the machine was started anew, nobody holds and no session is open."""
    if not entries or "machine" not in entries[0] or entries[0]["machine"] == this_machine():
        return entries
    return [entry for entry in entries if entry["do"] in ("token", "pin map")]


def _from_hold(hold: Hold) -> dict[str, Json]:
    claim, lease, holder = hold.claim, hold.claim.lease, hold.claim.holder
    sessions: dict[str, Json] = {
        name: [list(each) for each in sorted(places)] for name, places in claim.sessions.items()
    }
    return {
        "token": hold.token,
        "since_ns": hold.since_ns,
        "sessions": sessions,
        "mode": claim.mode,
        "holder": [holder.host, holder.user, holder.pid, holder.note],
        "lease": [lease.pid, lease.started, lease.ttl_s],
        "annotations": dict(claim.annotations),
    }


def _to_hold(entry: Mapping[str, Json]) -> Hold:
    sessions = cast("dict[str, list[list[str]]]", entry["sessions"])
    claim = Claim(
        {name: frozenset(Place(*each) for each in places) for name, places in sessions.items()},
        Holder(*cast("tuple[str, str, int, str]", entry["holder"])),
        cast("Mode", entry["mode"]),
        Lease(*cast("tuple[int, str, float]", entry["lease"])),
        cast("dict[str, str]", entry["annotations"]),
    )
    return Hold(cast("int", entry["token"]), claim, cast("int", entry["since_ns"]))
