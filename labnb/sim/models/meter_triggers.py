"""When a multimeter takes its readings: trigger sources, counts, delays, timers, readings before the trigger."""

from collections import deque
from collections.abc import Generator
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from labnb.core import InstrumentError
from labnb.sim.instrument import Operation, command
from labnb.sim.models.meter_readings import MeterReadings, crosses
from labnb.sim.models.meter_settings import MEMORY
from labnb.sim.scpi import Call
from labnb.sim.status import ScpiError

if TYPE_CHECKING:
    from labnb.sim.bench import Bench

_LONGEST_DOZE_S = 0.1
_PATIENCE_S, _IMPATIENCE = 0.2, 0.01
"""A signal that changes without reaching the level for so long is looked at after so much of the time passed, again."""


@runtime_checkable
class SyncOutput(Protocol):
    """An instrument with a sync output that a trigger input can be wired to."""

    def next_sync(self, after: float, *, rising: bool) -> float:
        """Return the bench time of the first edge later than `after`; infinity if there is none."""
        ...


class MeterTriggers(MeterReadings):
    """The trigger system of a multimeter.

    EXT waits for `external_trigger()`, or for the sync output of the instrument that is wired to its trigger input.
    INT waits until a reading has passed `TRIG:LEV` in the direction of `TRIG:SLOP`.
    """

    def __init__(self, bench: "Bench", name: str, address: str, *, trigger_input: str) -> None:
        super().__init__(bench, name, address)
        self._trigger_input = trigger_input
        self._awaits = ""
        self._fired = False
        self._dozing = False
        self._alarm = 0
        self._patient_since = 0.0
        bench.circuit.listen(self._bench_changed)

    def one_reading(self) -> Generator[float | None, None, float]:
        """Take one reading."""
        raise NotImplementedError

    def changes(self) -> bool:
        """Return whether the input may change by itself."""
        raise NotImplementedError

    def reset(self) -> None:
        """Wait for nothing."""
        super().reset()
        self._stop_waiting()

    def abort(self) -> None:
        """Disarm, too."""
        self._stop_waiting()
        super().abort()

    def _stop_waiting(self) -> None:
        self._awaits = ""
        self._fired = self._dozing = False

    # --- events ---

    def trigger(self) -> None:
        """Begin what `INIT` has armed for a bus trigger."""
        if self._awaits != "BUS" or self._fired:
            raise ScpiError(-211)
        self._fire()

    def external_trigger(self) -> None:
        """Give an edge on the trigger input; without effect unless the meter is armed for it."""
        timeline = self.bench.timeline
        with timeline.changed:
            timeline.catch_up()
            if self._awaits == "EXT" and not self._fired:
                self._fire()

    def _fire(self) -> None:
        self._fired = True
        if self._dozing:
            self._dozing = False
            self.proceed()

    def _bench_changed(self) -> None:
        """Look again: the level may be passed, or the sync output may have another edge."""
        self._patient_since = self.now
        if self._awaits == "EXT":
            self._set_alarm()
        elif self._dozing and self._awaits == "INT":
            self._dozing = False
            self.proceed()

    def _set_alarm(self) -> None:
        """Be woken by the next edge of the sync output that is wired to the trigger input."""
        source = self._wired()
        if source is not None:
            self._wake_at(source.next_sync(self.now, rising=self.trigger_slope() == "POS"))

    def _wake_at(self, when: float) -> None:
        self._alarm += 1
        alarm = self._alarm
        if when < float("inf"):
            self.bench.timeline.at(when, lambda: self._ring(alarm))

    def _wired(self) -> SyncOutput | None:
        if not self._trigger_input:
            return None
        source = self.bench.port(self._trigger_input).instrument
        if not isinstance(source, SyncOutput):
            raise InstrumentError(f"{self.name}: {self._trigger_input!r} has no sync output for the trigger input")
        return source

    def _ring(self, alarm: int) -> None:
        if alarm != self._alarm or not self._awaits:
            return
        if self._awaits == "EXT":
            self._fire()
        elif self._dozing:
            self._dozing = False
            self.proceed()

    def _doze(self) -> Operation:
        """Wait for an event, or for the alarm."""
        self._dozing = True
        while self._dozing:
            yield None
        return None

    # --- waiting ---

    def _triggered(self) -> Operation:
        """Wait for a trigger, and keep the readings that come before it."""
        source = self.trigger_source()
        if source == "IMM":
            return None
        self._awaits, self._fired = source, False
        if source == "EXT":
            self._set_alarm()
        if source == "INT":
            yield from self._level_passed()
        elif self.pretrigger_samples():
            yield from self._until_fired()
        elif not self._fired:
            yield from self._doze()
        self._awaits = ""
        return None

    def _until_fired(self) -> Operation:
        before: deque[float] = deque(maxlen=int(self.pretrigger_samples()))
        while not self._fired or len(before) < int(self.pretrigger_samples()):
            before.append((yield from self.one_reading()))
        for reading in before:
            self.keep(reading)
        return None

    def _level_passed(self) -> Operation:
        """Take readings until one has passed the level; look more and more rarely while it is not reached."""
        count = int(self.pretrigger_samples())
        kept: deque[float] = deque(maxlen=count)
        before: float | None = None
        self._patient_since, pause = self.now, 1e-3
        while True:
            reading = yield from self.one_reading()
            passed = before is not None and crosses(before, reading, self.trigger_level(), self.trigger_slope())
            if passed and len(kept) >= count:
                break
            before = reading
            kept.append(reading)
            if count:
                continue
            if not self.changes():
                pause = min(2.0 * pause, _LONGEST_DOZE_S)
                self._wake_at(self.now + pause)
                yield from self._doze()
            elif self.now - self._patient_since > _PATIENCE_S:
                self._wake_at(self.now + _IMPATIENCE * (self.now - self._patient_since))
                yield from self._doze()
        for each in kept:
            self.keep(each)
        return None

    # --- readings ---

    def _acquire(self) -> Operation:
        done = 0
        while done < self.triggers():
            yield from self._triggered()
            if not self.trigger_auto_delay():
                yield self.now + self.trigger_delay()
            yield from self._burst(int(self.samples()) - int(self._before_trigger()))
            done += 1
        return None

    def _before_trigger(self) -> float:
        return 0.0 if self.trigger_source() == "IMM" else self.pretrigger_samples()

    def _burst(self, samples: int) -> Operation:
        for sample in range(samples):
            started = self.now
            self.keep((yield from self.one_reading()))
            if self.sample_source() == "TIM" and sample < samples - 1:
                yield max(self.now, started + self.sample_timer())
        return None

    def initiate(self) -> None:
        """Begin to wait for triggers.

        Raises -213 when it does so already, -221 for more readings than memory, InstrumentError if what is wired to the
        trigger input has no sync output.
        """
        if self.busy:
            raise ScpiError(-213)
        triggers = self.triggers()
        if triggers <= MEMORY and self.samples() * triggers > MEMORY:
            raise ScpiError(-221, "more readings than memory")
        if self._before_trigger() >= self.samples():
            raise ScpiError(-221, "as many readings before the trigger as there are in all")
        self._wired()
        self._readings.clear()
        self.begin(self._acquire())

    def complete_readings(self) -> Operation:
        """Answer the readings when they are all there. Raises -214 while a bus trigger is missing."""
        if self._awaits == "BUS":
            raise ScpiError(-214)
        yield from self.until_complete()
        if not self._readings:
            raise ScpiError(-230)
        return self.written(self._readings)

    @command("INITiate[:IMMediate]")
    def _command_initiate(self, call: Call) -> None:
        self.initiate()

    @command("FETCh?")
    def _fetch(self, call: Call) -> Operation:
        return self.complete_readings()

    @command("READ?")
    def read_all(self, call: Call) -> Operation:
        """Initiate, and answer the readings. Raises -214 with a bus trigger, which could not come."""
        if self.trigger_source() == "BUS":
            raise ScpiError(-214)
        self.initiate()
        return self.complete_readings()

    @command("ABORt")
    def _command_abort(self, call: Call) -> None:
        self.abort()
