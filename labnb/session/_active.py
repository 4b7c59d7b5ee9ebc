"""Which runs are under way: nobody else may use their instruments, and those are made safe if the process ends."""

import atexit
from collections.abc import Sequence
from typing import Protocol

from labnb.core import PlanError
from labnb.instruments import Instrument

_TIMEOUT_S = 2.0


class _Running(Protocol):
    @property
    def run_id(self) -> str: ...
    def make_safe_now(self, timeout_s: float) -> None: ...


_runs: dict[_Running, tuple[Instrument, ...]] = {}
_registered: list[bool] = []


def check_free(instruments: Sequence[Instrument]) -> None:
    """Raise PlanError if a run that is under way uses one of `instruments`."""
    for run, used in _runs.items():
        for instrument in instruments:
            if instrument in used:
                raise PlanError(
                    f"{instrument.name} is in use by run {run.run_id}; wait for it (await it) or stop it first, "
                    "so that two measurements do not set one instrument by turns"
                )


def enter(run: _Running, instruments: Sequence[Instrument]) -> None:
    """Claim `instruments` for `run`. Raises PlanError if another run has one of them."""
    check_free(instruments)
    if not _registered:
        atexit.register(_make_all_safe)
        _registered.append(True)
    _runs[run] = tuple(instruments)


def leave(run: _Running) -> None:
    """Give the instruments of `run` free; it has made them safe itself."""
    _runs.pop(run, None)


def _make_all_safe() -> None:
    for run in tuple(_runs):
        run.make_safe_now(_TIMEOUT_S)
