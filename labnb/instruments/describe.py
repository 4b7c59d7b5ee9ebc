"""How an instrument shows itself: as a record for the run's metadata, and as a table in the notebook."""

import html
import math
from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, cast

from labnb.core import to_jsonable
from labnb.instruments.action import Action
from labnb.instruments.limits import Bounds
from labnb.instruments.quantity import shown

if TYPE_CHECKING:
    from labnb.instruments.instrument import Instrument

_MOST_NUMBERS = 100  # an array in a snapshot; a longer one is described, for it is data

# Colours come from what surrounds the table, so that it reads on light and dark pages alike.
_STYLE = "border-collapse:collapse;color:inherit;background:transparent;font-variant-numeric:tabular-nums"
_CELL = "padding:2px 10px;text-align:left;border-bottom:1px solid color-mix(in srgb,currentColor 20%,transparent)"
_FAINT = "opacity:0.7"


class Snapshot(dict[str, object], Action["Snapshot"]):
    """What an instrument is set to: a dictionary of plain JSON values. It is there; it may be awaited too."""

    def result(self) -> "Snapshot":
        """Return itself."""
        return self


def snapshot_of(instrument: "Instrument") -> Snapshot:
    """Return identity, values, units and limits as they are known, without asking."""
    known = dict(instrument.known)
    units = {name: quantity.unit for name, quantity in instrument.parameters.items()}
    names = [*units, *(name for name in known if name not in units)]
    return Snapshot(
        name=instrument.name,
        driver=type(instrument).__name__,
        address=instrument.address,
        identity=asdict(instrument.identity),
        values={name: _entry(*known.get(name, (None, units.get(name, "")))) for name in names},
        limits={name: (_end(bounds.low), _end(bounds.high)) for name, bounds in instrument.safety.items()},
        ramps={name: asdict(pace) for name, pace in instrument.paces.items() if pace},
        interlocks={
            name: [interlock.otherwise for interlock in locks] for name, locks in instrument.interlocks.items()
        },
        leave_on=instrument.leave_on,
    )


def _entry(value: object, unit: str) -> dict[str, object]:
    size = getattr(value, "size", 1)
    if isinstance(size, int) and size > _MOST_NUMBERS:
        array = cast(Any, value)  # Any: a numpy array; numpy is loaded by whoever made it
        described = {"shape": list(array.shape), "min": float(array.min()), "max": float(array.max())}
        return {"value": None, "array": described, "unit": unit}
    return {"value": to_jsonable(value), "unit": unit}


def _end(number: float) -> float | None:
    return number if math.isfinite(number) else None


def html_of(instrument: "Instrument") -> str:
    """Return a table of the instrument's quantities: value, unit, limits, and what they are in a tooltip."""
    known, parameters = dict(instrument.known), instrument.parameters
    rows = [
        _row(name, known.get(name), quantity.unit, _rules(instrument, name), _said(quantity.__doc__))
        for name, quantity in parameters.items()
    ]
    rows += [
        _row(name, pair, pair[1], _rules(instrument, name), "")
        for name, pair in known.items()
        if name not in parameters
    ]
    rows += [
        _row(name, None, bounds.unit, _rules(instrument, name), "")
        for name, bounds in instrument.safety.items()
        if name not in parameters and name not in known
    ]
    title = html.escape(f"{instrument.name}: {instrument.identity}")
    where = html.escape(instrument.address + (" (closed)" if instrument.closed else ""))
    head = "".join(f'<th style="{_CELL};{_FAINT}">{word}</th>' for word in ("", "value", "limits"))
    if not rows:
        head = f'<th style="{_CELL};{_FAINT};font-weight:normal">nothing was set or read yet</th>'
    return (
        f'<table style="{_STYLE}"><caption style="text-align:left;white-space:nowrap;color:inherit"><b>{title}</b><br>'
        f'<code style="color:inherit;background:transparent">{where}</code></caption>'
        f"<thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table>"
    )


def _row(name: str, pair: "tuple[object, str] | None", unit: str, rules: str, doc: str) -> str:
    value = f'<span style="{_FAINT}">not read</span>' if pair is None else html.escape(shown(pair[0]))
    cells = (html.escape(name), f"{value} {html.escape(unit)}".rstrip(), html.escape(rules))
    inner = "".join(f'<td style="{_CELL}">{cell}</td>' for cell in cells)
    return f'<tr title="{html.escape(doc)}">{inner}</tr>'


def _rules(instrument: "Instrument", name: str) -> str:
    bounds: Mapping[str, Bounds] = instrument.safety
    parts = [str(bounds[name])] if name in bounds else []
    if pace := instrument.paces.get(name):
        parts += [f"steps of {pace.max_step:g}"] if pace.max_step is not None else []
        parts += [f"{pace.max_rate:g} a second"] if pace.max_rate is not None else []
    parts += [f"locked unless: {lock.otherwise}" for lock in instrument.interlocks.get(name, ())]
    return "; ".join(parts)


def _said(doc: str | None) -> str:
    return (doc or "").partition("\n")[0]
