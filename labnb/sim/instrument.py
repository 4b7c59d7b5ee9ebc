"""What every simulated instrument is: settings, channels, and the commands that IEEE 488.2 and SCPI-99 give to all.

How commands and settings are declared: `labnb.sim.commands`, `labnb.sim.settings`; how they are executed:
`labnb.sim.executing`.
"""

import random
from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

from labnb.core import InstrumentError
from labnb.sim.commands import Operation, command, declared
from labnb.sim.executing import Executor
from labnb.sim.headers import Grammar
from labnb.sim.interface import interface_of
from labnb.sim.scpi import Call, parse_number
from labnb.sim.settings import Key
from labnb.sim.status import ScpiError

if TYPE_CHECKING:
    from labnb.sim.bench import Bench

Terminals = str | tuple["Terminals", ...]
"""Names of terminals, nested as the nodes that a constructor takes."""


class Instrument(Executor):
    """An instrument on a bench. A subclass declares settings and commands; making one connects it to the bench."""

    identity: ClassVar[str] = "LABNB,GENERIC,SIM0001,1.0"
    channels: ClassVar[int] = 0
    terminal_names: ClassVar[Mapping[str, Terminals]] = {}
    """What a bench file can wire: for each keyword of the constructor that takes nodes, what its terminals are called.

    A return, whose name is `lo` or ends in `-`, is at ground unless it is wired.
    """
    influences: ClassVar[tuple[str, ...]] = ()
    """Which of its methods, functions of bench time, a part in a bench file may follow (a stage's temperature)."""

    def __init_subclass__(cls) -> None:
        cls._grammar = Grammar(declared(cls))

    def __init__(self, bench: "Bench", name: str, address: str) -> None:
        super().__init__(bench, interface_of(address))
        self.name = name
        self.address = address
        self.rng = random.Random(f"{bench.seed}/{name}")  # noqa: S311 - noise, not a secret
        self.values: dict[tuple[str, Key], object] = {}
        self.selected = 1
        bench.connect(self)

    # --- what a subclass may override ---

    def reset(self) -> None:
        """Go to the state after `*RST`."""
        self.values.clear()
        self.selected = 1

    def changed(self, name: str, key: Key) -> None:
        """Act on the setting `name`, which has just been set for `key`."""

    def trigger(self) -> None:
        """Act on a bus trigger. Raises ScpiError -211 when none is waited for."""
        raise ScpiError(-211)

    def power_cycle(self) -> None:
        """Lose the power and get it again: nothing but the `PON` bit tells of what was before."""
        self.device_clear()
        self.status.power_on()
        try:
            self.reset()
        except InstrumentError as error:  # the circuit has no solution, whatever this instrument does
            self.refuse(error)

    # --- channels ---

    def keys_of(self, keys: tuple[Key, ...], call: Call) -> tuple[Key, ...]:
        """Return the keys of a setting that `call` means."""
        first = keys[0]
        if isinstance(first, int):
            return self.channels_of(call)
        if call.channels is not None:
            raise ScpiError(-108, "channel list")
        return (call.key,)

    def channels_of(self, call: Call) -> tuple[int, ...]:
        """Return the channels that `call` means: its list, else its suffix, else the selected one."""
        if call.channels is not None:
            return self._checked(call.channels, -222)
        return self._checked(call.suffixes[-1:], -114) if call.suffixes else (self.selected,)

    def _checked(self, channels: tuple[int, ...], code: int) -> tuple[int, ...]:
        for channel in channels:
            if not 1 <= channel <= self.channels:
                raise ScpiError(code, f"channel {channel}")
        return channels

    # --- common commands, IEEE 488.2 chapter 10 ---

    @command("*IDN?")
    def _identify(self, call: Call) -> str:
        call.require(0, 0)
        return self.identity

    @command("*RST")
    def _reset(self, call: Call) -> None:
        call.require(0, 0)
        self._tell_completion = False
        self.abort()
        self.reset()

    @command("*CLS")
    def _clear_status(self, call: Call) -> None:
        call.require(0, 0)
        self.status.clear()
        self._tell_completion = False

    @command("*OPC")
    def _operation_complete(self, call: Call) -> None:
        call.require(0, 0)
        self._tell_completion = self.busy
        if not self.busy:
            self.status.operation_complete()

    @command("*OPC?")
    def _ask_complete(self, call: Call) -> Operation:
        call.require(0, 0)
        yield from self.until_complete()
        return "1"

    @command("*WAI")
    def _wait(self, call: Call) -> Operation:
        call.require(0, 0)
        return self.until_complete()

    @command("*ESR?")
    def _ask_events(self, call: Call) -> str:
        call.require(0, 0)
        return str(self.status.take_events())

    @command("*ESE")
    def _enable_events(self, call: Call) -> None:
        self.status.event_enable = _mask(call)

    @command("*ESE?")
    def _ask_enabled_events(self, call: Call) -> str:
        call.require(0, 0)
        return str(self.status.event_enable)

    @command("*SRE")
    def _enable_service(self, call: Call) -> None:
        self.status.service_enable = _mask(call) & ~64

    @command("*SRE?")
    def _ask_enabled_service(self, call: Call) -> str:
        call.require(0, 0)
        return str(self.status.service_enable)

    @command("*STB?")
    def _ask_status_byte(self, call: Call) -> str:
        call.require(0, 0)
        return str(self.status_byte())

    @command("*TST?", "*OPT?")
    def _ask_self_test(self, call: Call) -> str:
        call.require(0, 0)
        return "0"

    @command("*TRG")
    def _trigger(self, call: Call) -> None:
        call.require(0, 0)
        self.trigger()

    @command("SYSTem:ERRor[:NEXT]?")
    def _ask_error(self, call: Call) -> str:
        call.require(0, 0)
        return self.status.next_error()

    @command("SYSTem:ERRor:COUNt?")
    def _ask_error_count(self, call: Call) -> str:
        call.require(0, 0)
        return str(self.status.error_count())

    @command("SYSTem:VERSion?")
    def _ask_version(self, call: Call) -> str:
        call.require(0, 0)
        return "1999.0"

    @command("SYSTem:BEEPer[:IMMediate]", "SYSTem:LOCal", "SYSTem:REMote", "SYSTem:RWLock")
    def _front_panel(self, call: Call) -> None:
        """Accept what concerns only a front panel, which there is none of."""


def _mask(call: Call) -> int:
    call.require(1, 1)
    value = parse_number(call.arguments[0])
    if not 0 <= value <= 255:
        raise ScpiError(-222, call.arguments[0])
    return round(value)
