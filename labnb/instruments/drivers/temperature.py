"""Temperature controllers with one loop."""

from labnb.core import InstrumentError
from labnb.instruments.action import Action, Polled, finished
from labnb.instruments.instrument import Instrument
from labnb.instruments.parameter import Parameter, Switch


class TemperatureController(Instrument):
    """A Lakeshore-like controller of one heated stage.

    ```python
    await oven.setpoint.set(300)       # moves the target only
    await oven.heater.on()             # setting never energises the heater by itself
    await oven.settle()
    ```
    Its safe state: heater off.
    """

    models = ("TC100",)
    main_reading = "temperature"

    setpoint = Parameter("SETP {:.3f}", "SETP?", unit="K", within=(77.0, 400.0), doc="Target of the loop")
    temperature = Parameter(get="KRDG?", unit="K", doc="Temperature of the stage")
    heater = Switch("OUTP ON", "OUTP OFF", "OUTP?", doc="Power of the loop")
    safe_state = (heater.off,)

    def settle(self, timeout_s: float = 60.0) -> Action[None]:
        """Wait until the temperature is stable at the setpoint; other calls get through meanwhile.

        Raises LinkTimeout after `timeout_s`, InstrumentError if the heater is off.
        """
        return finished(Polled(self.lane, self._stable, timeout_s, f"{self.name} has not become stable"))

    def _stable(self) -> bool:
        if self.ask_bool("STAB?"):
            return True
        if not self.ask_bool("OUTP?"):
            raise InstrumentError(f"{self.name} will not settle: its heater is off; {self.name}.heater.on() first")
        return False
