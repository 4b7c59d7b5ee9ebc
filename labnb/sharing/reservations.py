"""Reserve instruments by their names: wait for one's turn, see who is before one, know when it was taken away."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from typing import Self

from labnb.core import Flag, Mutex, ReservationLost, present_clock
from labnb.sharing.callers import introduction
from labnb.sharing.calls import Call, Unreachable, milliseconds, procedures, translated
from labnb.sharing.finding import find_service, service_folder, start_service
from labnb.sharing.holding import OwnReservation, Standing
from labnb.sharing.messages import SHARING_SERVICE, Message, sharing_messages
from labnb.sharing.places import Place
from labnb.sharing.situation import Situation, Wait, situation_from, wait_from
from labnb.sharing.table import Mode
from labnb.sharing.transport import grpc

TTL_S = 30.0
"""How long a reservation from another machine outlives its connection."""

PATIENCE_S = 5.0
"""How long to wait for a service that is being started again."""

SEEKING_S = 2.0
"""How often to look where the service is, once it went away from where it was."""

_ATTEMPTS, _AGAIN_S = 20, 0.1

CHANNEL_OPTIONS = [("grpc.initial_reconnect_backoff_ms", 100), ("grpc.max_reconnect_backoff_ms", 1000)]

Resources = str | Place | Iterable[str | Place]


class Held(OwnReservation):
    """A reservation of this process: it lasts until `release`, the end of a `with` block, or the process's end."""

    def __init__(self, client: "ReservationClient", standing: Standing) -> None:
        super().__init__(standing)
        self._client = client
        self._keeping: Call = None

    def release(self) -> None:
        """Give it back; a second time does nothing. Raises ReservationLost if it was taken away before."""
        if self.is_lost:
            self._standing.check()
        if self._standing.release():
            self._client._give_back(self)  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]  one class in two
            if self._keeping is not None:
                self._keeping.cancel()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None and issubclass(kind, ReservationLost):
            with suppress(ReservationLost):  # it is being told already
                self.release()
        else:
            self.release()

    def _keep(self, call: Call) -> None:
        self._keeping = call
        call.add_done_callback(self._ended)

    def _ended(self, call: Call) -> None:
        if self._standing.ended(call):
            with suppress(ValueError):  # the channel was closed meanwhile
                self._client._keep_again(self)  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]


class ReservationClient:
    """Asks the service at `address` (None: this user's, which is started if it does not run, and found again).

    `note` is shown to others beside what is reserved. A client is for one process; any thread may use it.
    """

    def __init__(self, address: str | None = None, *, note: str = "") -> None:
        self._folder = service_folder() if address is None else None
        self._note = note
        self._held: list[Held] = []
        self._turning = Mutex()
        self._closed = False
        self._turn_to(address or start_service(self._folder))

    def _turn_to(self, address: str) -> None:
        self.address = address
        self._channel = grpc.insecure_channel(address, options=CHANNEL_OPTIONS)
        self._procedures = procedures(self._channel, SHARING_SERVICE)

    def reserve(
        self,
        resources: Resources,
        *,
        timeout: float | None = 0.0,
        mode: Mode = "exclusive",
        on_wait: Callable[[Wait], object] | None = None,
    ) -> Held:
        """Reserve instruments, all or none, by resource name (or one channel each, by `place`).

        `timeout` in s: 0 fails at once, any below 0 waits for ever. `mode="read"` shares with others who read.
        `on_wait` is told each change of the place in the queue. Raises Reserved, naming who has it; an interrupt
        leaves the queue.
        """
        request = reserve_request(resources, timeout, mode, self._note)
        clock, failures = present_clock(), 0
        began_s = clock.monotonic()
        while True:
            tried_s = clock.monotonic()
            try:
                return self._reserve(request, on_wait)
            except Unreachable:  # the service ended, or was ended: what is reserved is remembered, who waits is not
                failures = failures + 1 if clock.monotonic() - tried_s < PATIENCE_S else 1
                if self._folder is None or failures == _ATTEMPTS:
                    raise
            Flag().wait(_AGAIN_S)  # a process that was killed is still there for a moment
            if timeout is not None and timeout > 0:
                left_s = max(0.0, timeout - (clock.monotonic() - began_s))
                request = reserve_request(resources, left_s, mode, self._note)

    def _reserve(self, request: Message, on_wait: Callable[[Wait], object] | None) -> Held:
        call = self._procedure("Reserve")(request)
        try:
            return self._take_up(Standing(_token(call, on_wait), names_of(request)))
        finally:
            call.cancel()  # by now it is either kept alive or given up

    def situation(self) -> Situation:
        """Return who has what, and who waits, now."""
        return next(self.watch())

    def watch(self) -> Iterator[Situation]:
        """Yield who has what, and who waits: now and after every change. End it with `close()` of the generator."""
        call = self._procedure("Watch")(sharing_messages.WatchRequest())
        try:
            for message in call:
                yield situation_from(message)
        except grpc.RpcError as error:
            raise translated(error) from error
        finally:
            call.cancel()

    def force_release(self, token: str, reason: str = "") -> None:
        """Take away the reservation `token`; its holder gets ReservationLost. Raises ReservationLost if it is no more."""
        self._call("ForceRelease", force_request(token, reason))

    def close(self) -> None:
        """Give back what is still held, and end the connection."""
        for held in [*self._held]:
            with suppress(ReservationLost):
                held.release()
        self._closed = True
        self._channel.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _take_up(self, standing: Standing) -> Held:
        call = self._keep_alive(standing.token)
        try:
            call.initial_metadata()  # from now on the service knows that we have it
            held = Held(self, standing)
            self._held.append(held)
            held._keep(call)  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]  one class in two
        except BaseException:  # interrupted between the service's word and ours: nobody else would give it back
            call.cancel()
            with suppress(ReservationLost):
                self._call("Release", sharing_messages.ReleaseRequest(token=standing.token))
            raise
        return held

    def _keep_alive(self, token: str, timeout_s: float | None = None) -> Call:
        request = sharing_messages.KeepAliveRequest(token=token)
        return self._procedures["KeepAlive"](request, wait_for_ready=True, timeout=timeout_s)

    def _keep_again(self, held: Held) -> None:
        """Follow a reservation on, where the service is now; where nobody says, look again and again."""
        if self._folder is None:
            held._keep(self._keep_alive(held.token))  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]  one class in two
        elif not self._seek(find_service(self._folder)):
            held._keep(self._keep_alive(held.token, SEEKING_S))  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]

    def _seek(self, found: str | None) -> bool:
        """Turn to the service at `found`, with all that is held; return whether it is another address."""
        with self._turning:
            if self._closed or found is None or found == self.address:
                return False
            left, moved = self._channel, [*self._held]
            self._turn_to(found)
        for held in moved:
            held._keep(self._keep_alive(held.token, SEEKING_S))  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
        left.close()
        return True

    def _procedure(self, name: str) -> Call:
        """Return a procedure of the service where it is now; this user's is started if it has ended."""
        if self._folder is not None and not self._closed:
            self._seek(start_service(self._folder))
        return self._procedures[name]

    def _give_back(self, held: Held) -> None:
        self._held.remove(held)
        self._call("Release", sharing_messages.ReleaseRequest(token=held.token))

    def _call(self, name: str, request: Message) -> None:
        try:
            self._procedure(name)(request, wait_for_ready=True, timeout=PATIENCE_S)
        except grpc.RpcError as error:
            raise translated(error) from error


def reserve_request(resources: Resources, timeout: float | None, mode: Mode, note: str) -> Message:
    """Return the request for a reservation. A Place is itself a tuple: one channel, not two instruments."""
    several = [resources] if isinstance(resources, str | Place) else resources
    return sharing_messages.ReserveRequest(
        resources=[
            {"instrument": each.instrument, "channel": each.channel}
            if isinstance(each, Place)
            else {"instrument": each}
            for each in several
        ],
        mode=mode,
        timeout_in_milliseconds=milliseconds(timeout),
        annotations=introduction(note, TTL_S),
    )


def names_of(request: Message) -> tuple[str, ...]:
    """Return what a request is for, as the service calls it."""
    return tuple(f"{each.instrument}/{each.channel}" if each.channel else each.instrument for each in request.resources)


def force_request(token: str, reason: str) -> Message:
    """Return the request to take a reservation away."""
    return sharing_messages.ForceReleaseRequest(token=token, reason=reason, annotations=introduction())


def _token(call: Call, on_wait: Callable[[Wait], object] | None) -> str:
    try:
        for update in call:
            if update.token:
                return update.token
            if on_wait is not None:
                on_wait(wait_from(update))
    except grpc.RpcError as error:
        raise translated(error) from error
    raise ReservationLost("the reservation service ended the call without an answer; try again")
