"""Who holds which instruments, and who waits for them: rules only, no transport, no waiting, no clock but for stamps.

A claim is for several sessions at once and is granted whole or not at all. Claims that meet at some place are granted
in the order in which they came; whoever meets nobody passes. Nobody starves: a newcomer is also in the way of itself
if it meets a claim that waits already.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import count
from typing import Literal

from labnb.core import present_clock
from labnb.sharing.leases import Lease
from labnb.sharing.places import Place, meet

Mode = Literal["exclusive", "read"]


@dataclass(frozen=True, slots=True)
class Holder:
    """Who reserves: `pid` is 0 where the process is not known, `note` is what they say they do."""

    host: str = ""
    user: str = ""
    pid: int = 0
    note: str = ""

    def __str__(self) -> str:
        who = f"{self.user or 'somebody'}@{self.host or 'an unknown host'}"
        process = f", process {self.pid}" if self.pid else ""
        return f"{who}{process}{f' ({self.note})' if self.note else ''}"


@dataclass(frozen=True, slots=True)
class Claim:
    """What somebody wants: `sessions` says by name which places each session takes."""

    sessions: Mapping[str, frozenset[Place]]
    holder: Holder = field(default_factory=Holder)
    mode: Mode = "exclusive"
    lease: Lease = field(default_factory=Lease)
    annotations: Mapping[str, str] = field(default_factory=dict[str, str])
    places: frozenset[Place] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "places", frozenset[Place]().union(*self.sessions.values()))

    def disturbs(self, other: "Claim") -> bool:
        """Tell whether both cannot be granted at once: they meet, and not only to read."""
        return not (self.mode == other.mode == "read") and meet(self.places, other.places)

    def met_by(self, other: "Claim") -> list[str]:
        """Return which of the sessions the other claim meets."""
        return [name for name, places in self.sessions.items() if meet(places, other.places)]


@dataclass(frozen=True, slots=True)
class Hold:
    """A claim that was granted at `since_ns`; `token` is larger than that of every hold before it."""

    token: int
    claim: Claim
    since_ns: int


@dataclass(frozen=True, slots=True)
class Waiter:
    """A claim in the queue."""

    number: int
    claim: Claim


Grant = tuple[Waiter, Hold]


class _Crowd:
    """Counts which of many claims another would disturb without a look at each: every claim is one bit of a number."""

    def __init__(self) -> None:
        self._next = 1
        self._writers = 0
        self._at: dict[Place, int] = {}
        self._on: dict[str, int] = {}

    def add(self, claim: Claim) -> None:
        if claim.mode != "read":
            self._writers |= self._next
        for each in claim.places:
            self._at[each] = self._at.get(each, 0) | self._next
            self._on[each.instrument] = self._on.get(each.instrument, 0) | self._next
        self._next <<= 1

    def disturbed_by(self, claim: Claim) -> int:
        met = 0
        for each in claim.places:
            if each.channel:
                met |= self._at.get(each, 0) | self._at.get(Place(each.instrument), 0)
            else:
                met |= self._on.get(each.instrument, 0)
        return (met & self._writers if claim.mode == "read" else met).bit_count()


class Table:
    """The holds and the queue. Every method leaves nothing grantable in the queue."""

    def __init__(self, next_token: Callable[[], int] | None = None) -> None:
        self._next_token = next_token or count(1).__next__
        self._numbers = count(1)
        self._holds: dict[int, Hold] = {}
        self._queue: list[Waiter] = []
        self._positions: dict[int, int] = {}

    @property
    def holds(self) -> Mapping[int, Hold]:
        """What is held, by token, oldest first."""
        return self._holds

    @property
    def queue(self) -> tuple[Waiter, ...]:
        """Who waits, in the order in which they came."""
        return tuple(self._queue)

    def ask(self, claim: Claim) -> Hold | Waiter:
        """Grant the claim if nothing is in its way; else put it at the queue's end."""
        if not self._blocked(claim, self._queue):
            return self._grant(claim)
        waiter = Waiter(next(self._numbers), claim)
        self._queue.append(waiter)
        self._positions.clear()
        return waiter

    def withdraw(self, waiter: Waiter) -> list[Grant]:
        """Take a waiter out of the queue, if it is there; return who may go on because of it."""
        if not self.position(waiter):
            return []
        self._queue = [each for each in self._queue if each is not waiter]
        return self._advance()

    def release(self, token: int, sessions: Iterable[str] | None = None) -> list[Grant]:
        """Give back a hold, or some of its sessions; return who may go on. Raises KeyError if it holds no such thing."""
        hold = self._holds[token]
        left = dict(hold.claim.sessions)
        for name in hold.claim.sessions if sessions is None else sessions:
            del left[name]
        if left:
            self._holds[token] = replace(hold, claim=replace(hold.claim, sessions=left))
        else:
            del self._holds[token]
        return self._advance()

    def restore(self, hold: Hold) -> None:
        """Take up a hold of an earlier table."""
        self._holds[hold.token] = hold

    def in_the_way(self, claim: Claim) -> list[Hold]:
        """Return the holds that the claim would disturb."""
        return [hold for hold in self._holds.values() if claim.disturbs(hold.claim)]

    def position(self, waiter: Waiter) -> int:
        """Return how many claims that this one would disturb wait before it, plus one; 0 if it waits no more."""
        if not self._positions:
            crowd = _Crowd()
            for each in self._queue:
                self._positions[each.number] = 1 + crowd.disturbed_by(each.claim)
                crowd.add(each.claim)
        return self._positions.get(waiter.number, 0)

    def holding(self, session: str) -> Iterator[Hold]:
        """Yield the holds that contain a session of this name, oldest first."""
        return (hold for hold in self._holds.values() if session in hold.claim.sessions)

    def _blocked(self, claim: Claim, earlier: Iterable[Waiter]) -> bool:
        return any(claim.disturbs(hold.claim) for hold in self._holds.values()) or any(
            claim.disturbs(each.claim) for each in earlier
        )

    def _grant(self, claim: Claim) -> Hold:
        hold = Hold(self._next_token(), claim, present_clock().time_ns())
        self._holds[hold.token] = hold
        return hold

    def _advance(self) -> list[Grant]:
        granted: list[Grant] = []
        waiting: list[Waiter] = []
        for waiter in self._queue:
            if self._blocked(waiter.claim, waiting):
                waiting.append(waiter)
            else:
                granted.append((waiter, self._grant(waiter.claim)))
        self._queue = waiting
        self._positions.clear()
        return granted
