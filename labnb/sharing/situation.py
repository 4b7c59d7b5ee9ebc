"""What a client is told of who has which instruments, as values."""

from dataclasses import dataclass

from labnb.core import present_clock
from labnb.sharing.messages import Message
from labnb.sharing.table import Holder, Mode


@dataclass(frozen=True, slots=True)
class Reservation:
    """Who has what: `token` names the reservation, `since_ns` is in ns since 1970 (UTC)."""

    token: str
    resources: tuple[str, ...]
    mode: Mode
    holder: Holder
    since_ns: int

    def __str__(self) -> str:
        age_s = max(0, present_clock().time_ns() - self.since_ns) / 1e9  # a clock may be set back
        to_read = ", to read" if self.mode == "read" else ""
        return f"{', '.join(self.resources)}: reserved by {self.holder} for {age_s:.0f} s{to_read}"


@dataclass(frozen=True, slots=True)
class Queued:
    """Who waits for what; `position` 1 is next."""

    resources: tuple[str, ...]
    mode: Mode
    holder: Holder
    position: int


@dataclass(frozen=True, slots=True)
class Situation:
    """All reservations, oldest first, and everybody who waits, in order."""

    reservations: tuple[Reservation, ...] = ()
    queue: tuple[Queued, ...] = ()

    def of(self, resource: str) -> tuple[Reservation, ...]:
        """Return the reservations of one resource: none, one, or several that read."""
        name = resource.casefold()
        return tuple(each for each in self.reservations if name in (known.casefold() for known in each.resources))


@dataclass(frozen=True, slots=True)
class Wait:
    """One's own place in the queue (1 is next), and the reservations that are in the way."""

    position: int
    in_the_way: tuple[Reservation, ...]

    def __str__(self) -> str:
        return f"place {self.position} in the queue; {'; '.join(map(str, self.in_the_way)) or 'others are before us'}"


def situation_from(message: Message) -> Situation:
    """Return the situation that a message tells."""
    return Situation(
        tuple(map(_reservation, message.holds)),
        tuple(
            Queued(tuple(each.sessions), _mode(each.mode), _holder(each.holder), each.position)
            for each in message.queue
        ),
    )


def wait_from(message: Message) -> Wait:
    """Return the place in the queue that a message tells."""
    return Wait(message.position, tuple(map(_reservation, message.in_the_way)))


def _reservation(message: Message) -> Reservation:
    return Reservation(
        message.token, tuple(message.sessions), _mode(message.mode), _holder(message.holder), message.since_ns
    )


def _holder(message: Message) -> Holder:
    return Holder(message.host, message.user, message.pid, message.note)


def _mode(text: str) -> Mode:
    return "read" if text == "read" else "exclusive"
