"""How a client calls the service: paths, times, and errors of ours in place of the transport's."""

import math
from typing import Any

from labnb.core import LabnbError, PinMapError, ReservationError, ReservationLost, Reserved
from labnb.sharing.messages import METHODS
from labnb.sharing.transport import grpc

ERROR_KEY = "labnb-error"
_LONGEST_MS = 2**31 - 1

Channel = Any  # grpc.Channel or grpc.aio.Channel: alike here, but without a common type
Call = Any  # what such a channel makes of a path: generic in types that are made at run time


class Refused(ReservationError, grpc.RpcError):
    """What the service refused. It is the transport's error too: `code()` and `details()` are as there."""

    def code(self) -> grpc.StatusCode:
        """Return the status."""
        return getattr(self.__cause__, "code", lambda: grpc.StatusCode.UNKNOWN)()

    def details(self) -> str:
        """Return the service's own words."""
        return getattr(self.__cause__, "details", lambda: None)() or str(self)


class Unreachable(Refused):
    """Nobody answers where the service should be."""


class RefusedReserved(Refused, Reserved):
    """Somebody else has reserved it."""


class RefusedLost(Refused, ReservationLost):
    """It is not reserved by the caller."""


class RefusedPinMap(PinMapError, Refused):
    """The pin map, or the request to it, names what cannot be."""


_KINDS: dict[str, type[Refused]] = {
    "Reserved": RefusedReserved, "ReservationLost": RefusedLost, "PinMapError": RefusedPinMap,
}  # fmt: skip


def procedures(channel: Channel, service: str) -> dict[str, Call]:
    """Return the procedures of a service, by name, to be called with a request."""
    return {
        method.name: (channel.unary_stream if method.streams else channel.unary_unary)(
            f"/{service}/{method.name}",
            request_serializer=method.takes.SerializeToString,
            response_deserializer=method.returns.FromString,
        )
        for method in METHODS[service]
    }


def translated(error: grpc.RpcError) -> LabnbError:
    """Return our error for the transport's; raise it from that one."""
    kind = _KINDS.get(kind_of(error))
    code, details = status_of(error)
    if kind is not None:
        return kind(details)
    if code in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED):
        return Unreachable(f"the reservation service cannot be reached ({details}); is `labnb serve` running?")
    return Refused(f"the reservation service refused: {code.name}: {details}")


def status_of(error: Any) -> tuple[grpc.StatusCode, str]:  # Any: RpcError's methods are in no type of grpc's
    """Return the status and the words of an error, or of a call that ended."""
    return error.code(), error.details() or ""


def kind_of(error: Any) -> str:  # Any: as above
    """Return our name of the error that the service answered with, "" if it is not one of ours."""
    for key, value in error.trailing_metadata() or ():
        if key == ERROR_KEY:
            return str(value)
    return ""


def milliseconds(timeout_s: float | None) -> int:
    """Return a timeout as it goes over the wire: 0 (or None) fails at once, -1 (or infinity, or any below 0) waits for ever.

    Raises ReservationError for what is no time.
    """
    if timeout_s is None:
        return 0
    if math.isnan(timeout_s):
        raise ReservationError("the timeout is not a number; give seconds, 0 not to wait, or -1 to wait for ever")
    if timeout_s < 0 or timeout_s == math.inf:
        return -1
    if timeout_s * 1000 > _LONGEST_MS:
        raise ReservationError(f"a timeout of {timeout_s:g} s is too long; -1 waits for ever")
    return round(timeout_s * 1000)
