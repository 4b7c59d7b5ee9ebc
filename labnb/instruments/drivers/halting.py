"""How work that keeps the lane busy for long ends early when the instrument is to be made safe."""

from labnb.core import Flag, InstrumentError
from labnb.instruments.action import Action
from labnb.instruments.instrument import Instrument


class Halted(InstrumentError):
    """Work was ended because the instrument is to be made safe."""


class HaltingInstrument(Instrument):
    """An instrument whose long work calls `pause` now and then, so that making it safe need not wait for the end."""

    @property
    def _halt(self) -> Flag:
        return self.bound("halt", Flag)

    def pause(self, seconds: float) -> None:
        """Wait; raise Halted as soon as the instrument is to be made safe."""
        if self._halt.wait(seconds):
            raise Halted(f"{self.name}: ended early, because it is to be made safe")

    def make_safe(self) -> Action[None]:
        """End what is going on, then bring the instrument into its safe state."""
        self._halt.set()
        return super().make_safe()

    def make_safe_now(self, timeout_s: float = 5.0) -> None:
        """Do the same and block for it."""
        self._halt.set()
        super().make_safe_now(timeout_s)

    def _be_safe(self) -> None:
        self._halt.clear()
        try:
            super()._be_safe()
        except InstrumentError as error:
            if not isinstance(error.__cause__, Halted):  # that nobody awaited it is no failure: we ended it
                raise
