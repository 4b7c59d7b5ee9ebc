"""Records, from another computer, what a session logs in the meantime."""

import math
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast, final

from labnb.core import Json, LifecycleError, RemoteError
from labnb.remote.address import PORT, parse_address
from labnb.remote.asking import ask

Recording = dict[str, float | list[float] | dict[str, list[float]]]
"""What `stop_recording` returns: values by variable, "time", and the parameters."""


@dataclass(frozen=True, slots=True)
class Track:
    """What one variable was in the window: times in s since 1970, by the session's clock, and values."""

    t: list[float]
    value: list[float]


@final
class RemoteObserver:
    """Follows the session shown at `host` and `port`; works with a pymanip session's server as well.

    `host` may be the whole address that the session printed, with its token. Every call blocks until the server has
    answered (30 s at most); on the loop that serves the session itself it is refused instead of waiting for ever.
    """

    def __init__(self, host: str, port: int = PORT, token: str | None = None) -> None:
        self._address = parse_address(host, port, token)
        self._start: float | None = None
        self._names: set[str] = set()

    @property
    def host(self) -> str:
        """The computer that is asked."""
        return self._address.host

    @property
    def port(self) -> int:
        """Its port."""
        return self._address.port

    def __repr__(self) -> str:
        return f"RemoteObserver({self.host!r}, {self.port})"

    def get_last_values(self) -> dict[str, float]:
        """Return the newest value of each variable. Raises RemoteError."""
        answer = self._ask("logged_last_values")
        if not isinstance(answer, list):
            raise self._strange("logged_last_values", answer)
        last: dict[str, float] = {}
        for each in answer:
            if not isinstance(each, dict) or not isinstance(each.get("name"), str):
                raise self._strange("logged_last_values", each)
            last[str(each["name"])] = self._number(each.get("value"))
        return last

    def start_recording(self) -> None:
        """Note the session's time: what it logs from now on belongs to the recording. Raises RemoteError."""
        self._start = self._now()
        self._names = set(self.get_last_values())

    def stop_recording(self, reduce_time: bool = True, force_reduce_time: bool = True) -> Recording:
        """Return what was logged since `start_recording`, NaN as NaN, with the session's parameters.

        Reduced: `{name: values, "time": times, parameter: value}`. If the variables have times of their own, either
        the one axis holds all of them, NaN where a variable has no value (`force_reduce_time`), or nothing is reduced;
        both with a warning. Unreduced: `{name: {"t": times, "value": values}, parameter: value}`.

        Raises LifecycleError before `start_recording`, RemoteError if the server does not answer.
        """
        if self._start is None:
            raise LifecycleError("nothing is being recorded; call start_recording() first")
        # The end is fixed before the first variable is asked for: all have the same window.
        end = self._now()
        if end < self._start:
            warnings.warn(f"the clock of {self.host} was set back by {self._start - end:g} s meanwhile", stacklevel=2)
            end = math.inf
        names = sorted(self._names | set(self.get_last_values()))
        tracks = {name: self._track(name, self._start, end) for name in names}
        recording = _reduced(tracks, force=force_reduce_time) if reduce_time else _unreduced(tracks)
        for name, value in self._parameters().items():
            if recording.setdefault(name, value) is not value:
                warnings.warn(f"parameter {name!r} has the name of a variable and is left out", stacklevel=2)
        return recording

    def _track(self, name: str, start: float, end: float) -> Track:
        answer = self._ask("data_from_ts", {"name": name, "last_ts": start})
        if not isinstance(answer, list):
            raise self._strange("data_from_ts", answer)
        track = Track([], [])
        for row in answer:
            if not isinstance(row, list) or len(row) != 2:
                raise self._strange("data_from_ts", row)
            ts = self._number(row[0])
            if ts <= end:
                track.t.append(ts)
                track.value.append(self._number(row[1]))
        return track

    def _parameters(self) -> dict[str, float]:
        answer = self._ask("get_parameters")
        if not isinstance(answer, dict):
            raise self._strange("get_parameters", answer)
        return {name: cast(float, math.nan if value is None else value) for name, value in answer.items()}

    def _now(self) -> float:
        answer = self._ask("server_current_ts")
        if not isinstance(answer, dict) or "now" not in answer:
            raise self._strange("server_current_ts", answer)
        return self._number(answer["now"])

    def _number(self, value: Json) -> float:
        if value is None:
            return math.nan
        if isinstance(value, int | float):
            return value
        raise self._strange("a number", value)

    def _ask(self, name: str, question: Json = None) -> Json:
        return ask(self._address, f"/api/{name}", question)

    def _strange(self, what: str, answer: object) -> RemoteError:
        return RemoteError(f"{self._address.url} does not speak as a session does: {what} gave {str(answer)[:80]}")


def _unreduced(tracks: Mapping[str, Track]) -> Recording:
    return {name: {"t": track.t, "value": track.value} for name, track in tracks.items()}


def _reduced(tracks: Mapping[str, Track], *, force: bool) -> Recording:
    """Put all tracks on one axis of time; those that are empty have no value anywhere on it."""
    if "time" in tracks:
        warnings.warn("a variable is called 'time', so the recording keeps a time axis for each", stacklevel=3)
        return _unreduced(tracks)
    axes = [track.t for track in tracks.values() if track.t]
    if all(axis == axes[0] for axis in axes):
        axis = axes[0] if axes else []
        missing = [math.nan] * len(axis)
        return {**{name: track.value or list(missing) for name, track in tracks.items()}, "time": list(axis)}
    if not force:
        warnings.warn("the variables have times of their own, so the recording keeps an axis for each", stacklevel=3)
        return _unreduced(tracks)
    warnings.warn(
        "the variables have times of their own: each has NaN at the times of the others; "
        "stop_recording(reduce_time=False) gives each its own axis",
        stacklevel=3,
    )
    return _joined(tracks)


def _joined(tracks: Mapping[str, Track]) -> Recording:
    """Return every track on the times of all; a time that comes twice in a track is there twice."""
    stamped = {name: _numbered(track.t) for name, track in tracks.items()}
    axis = sorted(set().union(*stamped.values()))
    recording: Recording = {}
    for name, track in tracks.items():
        known = dict(zip(stamped[name], track.value, strict=True))
        recording[name] = [known.get(stamp, math.nan) for stamp in axis]
    recording["time"] = [ts for ts, _ in axis]
    return recording


def _numbered(times: list[float]) -> list[tuple[float, int]]:
    """Return each time with how often it came before."""
    counts: dict[float, int] = {}
    stamps: list[tuple[float, int]] = []
    for ts in times:
        stamps.append((ts, counts.get(ts, 0)))
        counts[ts] = counts.get(ts, 0) + 1
    return stamps
