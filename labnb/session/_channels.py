"""What a run does with channels: which it sets, reads, claims and describes."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import cast

from labnb.core import Axis, LimitError, PlanError
from labnb.instruments import Action, Channel, Device, Instrument, Touched, channel, is_channel

Targets = tuple[Channel | None, ...]
"""The channels of an axis, and of those in lock-step with it."""


def aimed(axis: Axis, targets: Sequence[object]) -> tuple[Axis, Targets]:
    """Return the axis in the units of what it sets, and those channels, once all setpoints are found to be allowed.

    `targets` are what the axis and those in lock-step with it set, or None. Raises LimitError for the first setpoint
    that is not allowed, and PlanError if a target is no channel or has another unit.
    """
    found = [_aimed(each, target) for each, target in zip((axis, *axis.others), targets, strict=True)]
    first, *others = (each for each, _ in found)
    return replace(first, others=tuple(others)), tuple(made for _, made in found)


def _aimed(axis: Axis, target: object) -> tuple[Axis, Channel | None]:
    if target is None:
        return axis, None
    made = channel(target)
    if axis.unit and made.unit and axis.unit != made.unit:
        raise PlanError(
            f"axis {axis.name!r} is in {axis.unit!r}, but sets {made.name} in {made.unit!r}; leave the unit out: it is "
            "taken from the channel"
        )
    for place, value in enumerate(axis.values):
        try:
            made.check(value)
        except LimitError as error:
            raise LimitError(f"axis {axis.name!r}, setpoint {place + 1} of {axis.size}: {error}") from error
    return replace(axis, unit=axis.unit or made.unit), made


def claims(channels: Sequence[Channel]) -> Iterator[Touched]:
    """Yield what a run with these channels has to itself, and makes safe: their limits and safe values, and our own."""
    for one in channels:
        yield from one.safeguards
        for device in one.devices:
            if isinstance(device.body, Instrument):
                yield device.body


def snapshots(
    instruments: Sequence[Instrument], channels: Sequence[Channel], devices: Sequence[Device]
) -> dict[str, object]:
    """Return what the drivers know of the instruments of a run, by name; instruments of one name are numbered."""
    found = dict[str, object]()
    bodies = dict.fromkeys(Device(instrument.name, instrument) for instrument in instruments)
    bodies |= dict.fromkeys(device for one in channels for device in one.devices) | dict.fromkeys(devices)
    for device in bodies:
        alone = device.name not in found
        told = device.body.snapshot() if isinstance(device.body, Instrument) else device.snapshot()
        found[device.name if alone else f"{device.name} {len(found) + 1}"] = told
    return found


class Reader:
    """Reads the channels that a measurement function returns instead of values, each made once."""

    def __init__(self) -> None:
        self._made: dict[str, tuple[object, Channel]] = {}

    @property
    def units(self) -> dict[str, str]:
        """The units of what was read, by name."""
        return {name: made.unit for name, (_, made) in self._made.items()}

    def read(self, values: Mapping[str, object]) -> dict[str, object]:
        """Return `values` with channels read, one after another; blocks."""
        found = {name: self._begun(name, value) for name, value in values.items()}
        return {name: recordable(_result(value)) for name, value in found.items()}

    async def read_async(self, values: Mapping[str, object]) -> dict[str, object]:
        """Return `values` with channels read, at the same time where they stand on several connections."""
        found = {name: self._begun(name, value) for name, value in values.items()}
        return {
            name: recordable(await cast("Action[object]", value) if isinstance(value, Action) else value)
            for name, value in found.items()
        }

    def _begun(self, name: str, value: object) -> object:
        if not is_channel(value):
            return value
        given, made = self._made.get(name, (None, None))
        if made is None or given is not value:
            made = channel(value)
            self._made[name] = value, made
        return made.get()


def _result(value: object) -> object:
    return cast("Action[object]", value).result() if isinstance(value, Action) else value


def recordable(value: object) -> object:
    """Return what several channels were read as one (a tuple, a mapping) as an array."""
    if isinstance(value, tuple) or type(value) is dict:
        import numpy as np

        parts = cast("dict[str, object]", value).values() if isinstance(value, dict) else value
        return np.asarray(list(cast("tuple[object, ...]", parts)))
    return value


def has_channels(values: Mapping[str, object]) -> bool:
    """Whether a measurement function has returned channels to read."""
    return any(map(is_channel, values.values()))
