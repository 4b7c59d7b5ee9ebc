"""One input of an oscilloscope."""

from collections.abc import Mapping
from functools import partial
from typing import Self

from labnb.core import LimitError, unknown
from labnb.instruments.drivers.part import Part
from labnb.instruments.instrument import Instrument
from labnb.instruments.limits import Bounds, to_number


class ScopeChannel(Part):
    """One input of an oscilloscope. Its settings act at once, chain, and may be awaited."""

    def setup(
        self,
        *,
        scale: float | None = None,
        offset: float | None = None,
        coupling: str | None = None,
        probe: float | None = None,
        bandwidth_limit: bool | None = None,
        shown: bool | None = None,
    ) -> Self:
        """Show `scale` V a division around `offset` V; `coupling` is "DC" or "AC", `probe` the probe's attenuation.

        What is left out stays. Raises LimitError before anything is sent.
        """
        where = f"{self._owner.name} channel {self._number}"
        head = f":CHAN{self._number}:"
        commands: list[str] = []
        if probe is not None:  # first: scale and offset are those at the probe's tip
            commands.append(f"{head}PROB {Bounds(0.1, 1e4, kind='range').check(probe, f'{where} probe'):.9g}")
        if scale is not None:
            commands.append(f"{head}SCAL {Bounds(5e-5, 1e5, 'V', 'range').check(scale, f'{where} scale'):.9g}")
        if offset is not None:
            commands.append(f"{head}OFFS {to_number(offset, f'{where} offset'):.9g}")
        if coupling is not None:
            commands.append(f"{head}COUP {choose(self._owner, coupling, {'DC': 'DC', 'AC': 'AC'}, 'coupling')}")
        switches = {"BWL": bandwidth_limit, "DISP": shown}
        commands += [f"{head}{word} {'ON' if on else 'OFF'}" for word, on in switches.items() if on is not None]
        values = {name: (number, "V") for name, number in (("scale", scale), ("offset", offset)) if number is not None}
        return self._step(partial(self._setup, commands, values))

    def _setup(self, commands: list[str], values: Mapping[str, tuple[float, str]]) -> None:
        self._doubt(*values)
        self._owner.send(*commands)
        self._remember(values)


def choose(owner: Instrument, word: str, known: Mapping[str, str], what: str) -> str:
    """Return the SCPI word that `known` has for ours. Raises LimitError, with the nearest, if there is none."""
    if word not in known:
        raise LimitError(f"{owner.name}: {unknown(word, tuple(known), what)}; nothing was sent")
    return known[word]
