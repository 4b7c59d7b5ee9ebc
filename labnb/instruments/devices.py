"""What a run keeps of an instrument that somebody else's driver drives: its name, and what the driver knows of it."""

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from typing import Any, cast

from labnb.instruments.action import Action, done
from labnb.instruments.connections import connection_of, key_of, whole_of


@dataclass(frozen=True, slots=True)
class Device:
    """An instrument, whoever drives it. Two are equal if they are of one object."""

    name: str
    body: object

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Device) and other.body is self.body

    def __hash__(self) -> int:
        return id(self.body)

    @property
    def owner(self) -> Hashable:
        """What tells its connection from others."""
        return key_of(connection_of(self.body))

    def make_safe(self) -> Action[None]:
        """Do nothing: labnb does not know what is safe for it; a channel with a safe value does."""
        return done(None)

    def make_safe_now(self, timeout_s: float = 5.0) -> None:
        """Do nothing, as `make_safe`."""

    def snapshot(self) -> dict[str, object]:
        """Return what its driver knows of it without asking it. A driver that fails to tell is quoted, never raised."""
        body: Any = self.body
        place = connection_of(body)
        told: dict[str, object] = {
            "name": self.name,
            "driver": f"{type(body).__module__}.{type(body).__qualname__}",
            "connection": "" if place is body else _place(place),
        }
        if callable(getattr(type(body), "snapshot", None)):
            try:
                return {**told, **_mapping(_snapshot_of(body)())}
            except Exception as error:  # noqa: BLE001  a snapshot is no reason not to measure; what failed is kept
                told["snapshot failed"] = f"{type(error).__name__}: {error}"
        return told


def device_of(thing: object) -> Device | None:
    """Return the instrument that `thing` is, or is a part of; None if it does not look like one."""
    if isinstance(thing, type):
        return None
    *_, whole = whole_of(thing)
    name = getattr(whole, "name", None)
    if connection_of(whole) is whole and not callable(getattr(type(whole), "snapshot", None)):
        return None
    return Device(name if isinstance(name, str) and name else type(whole).__name__, whole)


def _snapshot_of(body: Any) -> Callable[[], object]:  # Any: a foreign driver
    """Return how to have the snapshot without the instrument being asked: QCoDeS asks unless it is told not to."""
    return (lambda: body.snapshot(update=False)) if hasattr(body, "snapshot_base") else body.snapshot


def _mapping(value: object) -> Mapping[str, object]:
    return cast(Mapping[str, object], value) if isinstance(value, Mapping) else {"snapshot": value}


def _place(connection: Any) -> str:  # Any: a foreign handle
    try:
        return str(connection.resource_name)
    except Exception:  # noqa: BLE001  no PyVISA resource, or one that is closed
        return repr(connection)
