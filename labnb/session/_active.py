"""What is under way: nobody else may use a run's instruments, and all are made safe if the process ends."""

import asyncio
import atexit
import os
import signal
import sys
import threading
from collections.abc import Collection, Generator, Mapping, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import Any, Protocol, TypeVar

from labnb.core import InstrumentError, LinkError, PlanError, ReservationLost
from labnb.instruments import Touched, beside, disconnect, live_devices, live_instruments

_TIMEOUT_S = 2.0


class _Running(Protocol):
    @property
    def run_id(self) -> str: ...

    def cancel(self) -> None: ...

    def __await__(self) -> Generator[Any, None, object]: ...


_runs: dict[_Running, dict[Touched, None]] = {}
_sharing: set[_Running] = set()  # tasks that were started by themselves: they may serve what a run measures
_registered: list[bool] = []


def under_way() -> tuple[object, ...]:
    """Return the runs, and the tasks that go on by themselves, that have begun and not ended, oldest first."""
    return tuple(_runs)


def check_free(instruments: Sequence[Touched]) -> None:
    """Raise PlanError if a run that is under way uses one of `instruments`."""
    for run, used in _runs.items():
        owners = {one.owner for one in used} - {None}
        for instrument in instruments:
            if (instrument in used or instrument.owner in owners) and run not in _sharing:
                raise PlanError(
                    f"{instrument.name} is in use by run {run.run_id}; wait for it (await it) or stop it first, "
                    "so that two measurements do not set one instrument by turns"
                )


def enter(run: _Running, instruments: dict[Touched, None], *, shared: bool = False) -> None:
    """Claim `instruments` for `run`, and what the run adds to them. Raises PlanError if another run has one.

    With `shared` they are only made safe with the others, and everybody may use them.
    """
    if shared:
        _sharing.add(run)
    else:
        check_free(tuple(instruments))
    if not _registered:
        atexit.register(_make_all_safe)
        _registered.append(True)
    if _in_main_thread() and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
        signal.signal(signal.SIGTERM, _terminate)  # while runs are under way; it would end the process as it is
    _runs[run] = instruments


def leave(run: _Running) -> None:
    """Give the instruments of `run` free; it has made them safe itself."""
    _runs.pop(run, None)
    _sharing.discard(run)
    if not _runs and _in_main_thread() and signal.getsignal(signal.SIGTERM) is _terminate:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _in_main_thread() -> bool:
    return threading.current_thread() is threading.main_thread()


def _terminate(_signum: int, _frame: FrameType | None) -> None:
    """Make safe what runs use, then let SIGTERM end the process as ever.

    In a thread: the signal may have come while this one held the lock of a lane.
    """
    worker = threading.Thread(target=_make_all_safe, daemon=True)
    worker.start()
    worker.join(_TIMEOUT_S * (1 + sum(map(len, _runs.values()))))
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    os.kill(os.getpid(), signal.SIGTERM)


def take_own(run: _Running) -> tuple[Touched, ...]:
    """Return the instruments that `run` has to make safe; those that another run has claimed too are left to that one.

    Leaving is giving up the claim, at once: of two runs that end together the second then has it alone.
    """
    claimed = _runs.get(run, {})
    for other, used in _runs.items():
        if other is not run:
            for instrument in used.keys() & claimed.keys():
                del claimed[instrument]
    return tuple(claimed)


def users_of(instrument: Touched) -> tuple[str, ...]:
    """Return what is under way and uses `instrument` or its connection: the names of runs and tasks."""
    return tuple(run.run_id for run, used in tuple(_runs.items()) if _uses(used, instrument))


T = TypeVar("T", bound=Touched)


def unused(instruments: Sequence[T]) -> list[T]:
    """Return those of `instruments` that nothing under way uses; what uses the others makes them safe itself."""
    return [each for each in instruments if not any(_uses(used, each) for used in _runs.values())]


async def end_users(instruments: Sequence[Touched]) -> None:
    """End the runs and tasks that use one of `instruments`, and wait until they have made it safe."""
    users = [run for run, used in _runs.items() if any(_uses(used, each) for each in instruments)]
    for run in users:
        run.cancel()
    await asyncio.gather(*users, return_exceptions=True)  # each keeps its own error


def _uses(used: Collection[Touched], instrument: Touched) -> bool:
    return instrument in used or instrument.owner in {one.owner for one in used} - {None}


async def make_all_safe(instruments: Sequence[Touched]) -> list[InstrumentError]:
    """Make all of them safe at the same time; return what failed, once each has been tried."""
    tries = [asyncio.ensure_future(_make_safe(instrument)) for instrument in instruments]
    results = await asyncio.gather(*tries, return_exceptions=True)
    failures = list[InstrumentError]()
    for instrument, result in zip(instruments, results, strict=True):
        if isinstance(result, BaseException):
            failures.append(_failure(instrument, result))
    return failures


def held() -> frozenset[int]:
    """Return the identities of what is connected: whoever did it closes it."""
    return frozenset(map(id, (*live_instruments(), *live_devices())))


async def close_all(instruments: Mapping[str, object]) -> list[InstrumentError]:
    """End the connections of all of them, by alias; return what failed, once each has been tried."""
    failures = list[InstrumentError]()
    for alias, instrument in instruments.items():
        try:
            await beside(disconnect, instrument)
        except ReservationLost:
            pass  # it is closed; what was still queued for it was refused, and is told by its own failure
        except InstrumentError as error:
            error.add_note(f"while closing {alias!r}")
            failures.append(error)
    return failures


@contextmanager
def telling(error: BaseException | None) -> Generator[None]:
    """Have a block's end that fails tell also of the error that ended the block: its own cause would hide it."""
    try:
        yield
    except InstrumentError as failure:
        if error is not None:
            failure.add_note(f"the block had ended with {type(error).__name__}: {error}")
        raise


async def _make_safe(instrument: Touched) -> None:
    await instrument.make_safe()


def _failure(instrument: Touched, error: BaseException) -> InstrumentError:
    what = f"{type(error).__name__}: {error}"
    if isinstance(error, ReservationLost):
        failure = InstrumentError(f"{instrument.name} was not made safe: it is another's now: {error}")
        failure.__cause__ = error
        return failure
    if isinstance(error, InstrumentError) and not isinstance(error, LinkError):
        failure = InstrumentError(f"{instrument.name} is safe, but something it was told before had failed: {what}")
    else:
        failure = InstrumentError(
            f"{instrument.name} may still be ON: making it safe failed: {what}; switch it off by hand"
        )
    failure.__cause__ = error
    return failure


def _make_all_safe() -> None:
    """Do what is left to do without an event loop, at the end of the process."""
    for run, instruments in tuple(_runs.items()):
        for instrument in tuple(instruments):
            try:
                instrument.make_safe_now(_TIMEOUT_S)
            except Exception as error:  # noqa: BLE001  the last place where a person can see it; the others go on
                sys.stderr.write(f"run {run.run_id}: {_failure(instrument, error)}\n")
