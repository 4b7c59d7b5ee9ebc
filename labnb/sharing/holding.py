"""What a client knows, and tells, about one of its reservations: held, released, or lost and why. No transport."""

from collections.abc import Callable
from enum import Enum

from labnb.core import Mutex, ReservationLost
from labnb.sharing.calls import kind_of, status_of
from labnb.sharing.transport import grpc


class _State(Enum):
    HELD = "held"
    RELEASED = "released"
    LOST = "lost"


class Standing:
    """How a reservation stands. Callable from any thread; `why` says in words how it was lost."""

    def __init__(self, token: str, resources: tuple[str, ...]) -> None:
        self.token = token
        self.resources = resources
        self.why = ""
        self._state = _State.HELD
        self._mutex = Mutex()
        self._listeners: list[Callable[[str], object]] = []

    @property
    def is_held(self) -> bool:
        """Whether it is neither released nor known to be lost."""
        return self._state is _State.HELD

    @property
    def is_lost(self) -> bool:
        """Whether it ended without us."""
        return self._state is _State.LOST

    def check(self) -> None:
        """Raise ReservationLost unless it is held."""
        if self._state is _State.LOST:
            raise ReservationLost(f"{', '.join(self.resources)}: {self.why}; nothing was sent. Reserve again to go on")
        if self._state is _State.RELEASED:
            raise ReservationLost(f"{', '.join(self.resources)}: you have released it; reserve again to go on")

    def tell(self, listener: Callable[[str], object]) -> None:
        """Call `listener`, with the reason, when it is lost: at once if it is already."""
        with self._mutex:
            if self._state is _State.HELD:
                self._listeners.append(listener)
                return
        if self._state is _State.LOST:
            listener(self.why)

    def release(self) -> bool:
        """Note that it is given back; return whether it was held."""
        with self._mutex:
            held = self._state is _State.HELD
            if held:
                self._state = _State.RELEASED
        return held

    def ended(self, call: object) -> bool:
        """Take note that a keep-alive call has ended; return whether another should be opened in its place."""
        code, details = status_of(call)
        if not self.is_held or code is grpc.StatusCode.CANCELLED:
            return False
        if code in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED):
            return True  # the service went away; it remembers, and may come back
        if code is grpc.StatusCode.OK:
            return False
        if kind_of(call) != "ReservationLost":
            details = f"what answers in the reservation service's place does not know it ({code.name}: {details})"
        with self._mutex:
            if self._state is not _State.HELD:
                return False
            self._state, self.why = _State.LOST, details
        for listener in self._listeners:
            listener(details)
        return False


class OwnReservation:
    """What both kinds of reservation tell of themselves; how they are given back is their own."""

    def __init__(self, standing: Standing) -> None:
        self._standing = standing

    @property
    def token(self) -> str:
        """Its name at the service; a later one is larger."""
        return self._standing.token

    @property
    def resources(self) -> tuple[str, ...]:
        """What is reserved."""
        return self._standing.resources

    @property
    def is_held(self) -> bool:
        """Whether it is neither released nor known to be lost."""
        return self._standing.is_held

    @property
    def is_lost(self) -> bool:
        """Whether it was taken away, or ended without us."""
        return self._standing.is_lost

    def check(self) -> None:
        """Raise ReservationLost unless it is held. Costs nothing: the service tells by itself."""
        self._standing.check()

    def on_lost(self, listener: Callable[[str], object]) -> None:
        """Call `listener` with the reason when the reservation is lost: in the event loop, without one in a thread."""
        self._standing.tell(listener)
