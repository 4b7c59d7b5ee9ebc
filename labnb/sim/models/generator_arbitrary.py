"""Which arbitrary waves a generator holds, and how they come in."""

import math
import struct
from typing import TYPE_CHECKING

from labnb.sim.instrument import command
from labnb.sim.models.generator_levels import GeneratorLevels
from labnb.sim.scpi import Call, parse_number
from labnb.sim.status import ScpiError

if TYPE_CHECKING:
    from labnb.sim.bench import Bench

SHORTEST_ARB, LONGEST_ARB = 8, 1_000_000


class GeneratorArbitrary(GeneratorLevels):
    """The volatile memory of a waveform generator."""

    def __init__(self, bench: "Bench", name: str, address: str) -> None:
        super().__init__(bench, name, address)
        self._arbitrary: dict[int, dict[str, tuple[float, ...]]] = {1: {}, 2: {}}

    def levels(self, channel: int) -> tuple[float, ...]:
        """Return the points of the chosen arbitrary wave; the built-in one is an exponential rise."""
        built_in = tuple(1.0 - 2.0 * math.exp(-k / 20.0) for k in range(100))
        return self._arbitrary[channel].get(self.arb_name(channel).upper(), built_in)

    @property
    def _order(self) -> str:
        return ">" if self.byte_order() == "NORM" else "<"

    @command("[SOURce#:]DATA:ARBitrary")
    def _upload_volts(self, call: Call) -> None:
        """Take `name,-1.0,...,1.0`, or a block of floats, big endian unless `FORM:BORD SWAP`."""
        block = call.block
        floats = (
            struct.unpack(f"{self._order}{len(block) // 4}f", block[: len(block) // 4 * 4])
            if block is not None
            else None
        )
        self._upload(call, floats, 1.0)

    @command("[SOURce#:]DATA:ARBitrary:DAC")
    def _upload_dac(self, call: Call) -> None:
        """Take `name,-32767,...,32767`, or a block of 16 bit numbers."""
        block = call.block
        counts = (
            struct.unpack(f"{self._order}{len(block) // 2}h", block[: len(block) // 2 * 2])
            if block is not None
            else None
        )
        self._upload(call, counts, 32767.0)

    def _upload(self, call: Call, levels: tuple[float, ...] | None, full: float) -> None:
        call.require(1, LONGEST_ARB + 1)
        channel = self.channels_of(call)[0]
        numbers = levels if levels is not None else tuple(parse_number(word) for word in call.arguments[1:])
        if not SHORTEST_ARB <= len(numbers) <= LONGEST_ARB or not all(abs(number) <= full for number in numbers):
            raise ScpiError(-222, f"{len(numbers)} points")
        name = call.arguments[0].strip("\"'").upper()
        self._arbitrary[channel][name] = tuple(number / full for number in numbers)
        self.drive(channel)

    @command("[SOURce#:]FUNCtion:ARBitrary")
    def _choose_arbitrary(self, call: Call) -> None:
        call.require(1, 1)
        channel = self.channels_of(call)[0]
        name = call.arguments[0].strip("\"'").upper()
        if name != "EXP_RISE" and name not in self._arbitrary[channel]:
            raise ScpiError(-224, name)
        self.values["arb_name", channel] = name
        self.drive(channel)

    @command("[SOURce#:]FUNCtion:ARBitrary?")
    def _ask_arbitrary(self, call: Call) -> str:
        return f'"{self.arb_name(self.channels_of(call)[0])}"'

    @command("[SOURce#:]FUNCtion:ARBitrary:POINts?")
    def _ask_points(self, call: Call) -> str:
        return str(len(self.levels(self.channels_of(call)[0])))

    @command("[SOURce#:]DATA:VOLatile:CLEar")
    def _forget_arbitrary(self, call: Call) -> None:
        channel = self.channels_of(call)[0]
        self._arbitrary[channel].clear()
        self.values.pop(("arb_name", channel), None)
        self.drive(channel)

    @command("[SOURce#:]DATA:VOLatile:CATalog?")
    def _ask_catalogue(self, call: Call) -> str:
        return ",".join(f'"{name}"' for name in ("EXP_RISE", *self._arbitrary[self.channels_of(call)[0]]))
