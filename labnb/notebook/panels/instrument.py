"""The front panel of one instrument, made from what its driver declares: readbacks, settings, switches, and SAFE.

Everything goes the driver's own way: the same checks, limits and ramps, through the one lane of its connection. While a
run uses the instrument nothing is asked of it; the panel then shows what the run has last set and read. What the run
sweeps cannot be set by hand; what else is set, the run takes note of.
"""

import asyncio
import html
import re
from collections.abc import Iterable, Iterator
from functools import partial
from typing import Any, cast

import ipywidgets as widgets

from labnb.core import LifecycleError, PlanError
from labnb.instruments import Channel, Device, Facet, Instrument, Quantity, channel
from labnb.live import value_text
from labnb.notebook.panels import _look
from labnb.notebook.panels._card import Card
from labnb.notebook.panels._door import Panel
from labnb.notebook.panels._offers import Offer, offers_of
from labnb.session import Run, under_way, users_of

_TOLD = ("expected", "one of", "is outside of", "write a value", "stopped on its way")  # these say what is expected
_HINT = "wait for it or stop it first (Off and Make safe always work)"
_LEAST_S = 0.2
_ENTER_S = 0.2  # by then a text that was changed has come, too
_NO_LINES = "its driver declares no single values to read or set: measure with its methods, in a cell"


def panel(instrument: object, *, every_s: float = 1.0) -> "InstrumentPanel":
    """Return the front panel of `instrument`, of whatever driver: `labnb.panel(psu)`.

    Readbacks are asked for every `every_s` seconds while it is on show and no run uses the instrument; measurements that
    would switch something over in the instrument are made by their Read buttons only. `instrument` may also be a Meta
    instrument, or one of QCoDeS or PyMeasure. Raises PlanError for what is no instrument.
    """
    return InstrumentPanel(instrument, every_s=every_s)


def _shown_of(instrument: object, name: str) -> list[Offer]:
    """Return what `instrument` has to show; of one of labnb's that may be nothing: it can still be made safe."""
    try:
        return offers_of(instrument, name)
    except PlanError:
        if isinstance(instrument, Instrument):
            return []
        raise


class InstrumentPanel(Panel):
    """Shows one instrument and sets it. Made by `labnb.panel(instrument)`."""

    def __init__(self, instrument: object, *, every_s: float = 1.0) -> None:
        if not every_s >= _LEAST_S:
            raise PlanError(
                f"every_s={every_s!r}: expected {_LEAST_S} s or more; readbacks shall leave the lane to others"
            )
        super().__init__("an instrument's panel")
        self._instrument = instrument
        name = getattr(instrument, "name", None)
        self.name = name if isinstance(name, str) and name else type(instrument).__name__
        self.lines = [Line(offer, self) for offer in _shown_of(instrument, self.name)]
        self._safe = _look.button(
            "Make safe", f"Bring {self.name} into its safe state now", self._posting(self._make_safe), "labnb-safe"
        )
        self._safe.disabled = not isinstance(instrument, Instrument)
        self._note = _look.text("labnb-soft")
        self._build(*self._laid_out())
        self._begin(self._repeat(every_s, self._readbacks))

    def _laid_out(self) -> Iterator[widgets.Widget]:
        title = _look.text(
            "labnb-title",
            value=f"{html.escape(self.name)}<small>{html.escape(self._identity)}</small>",
        )
        grow = _look.text("labnb-grow", value="")
        yield _look.row(
            [_look.column([title, self._note, self._message], flex="1 1 200px"), grow, self._safe], "labnb-columns"
        )
        yield _look.column(self._grouped())

    @property
    def _identity(self) -> str:
        identity = getattr(self._instrument, "identity", None) or type(self._instrument).__name__
        return f"{identity} {getattr(self._instrument, 'address', '')}".rstrip()

    def _grouped(self) -> Iterator[widgets.Widget]:
        """Yield the lines, with a heading above those of each part of the instrument."""
        part = ""
        if not self.lines:
            yield _look.text("labnb-empty", value=_NO_LINES)
        for line in self.lines:
            if line.part != part:
                part = line.part
                yield _look.text("labnb-part", value=html.escape(_part_text(part)))
            yield line.widget

    def _card(self) -> Card:
        lines, part = [] if self.lines else [_NO_LINES], ""
        for line in self.lines:
            if line.part != part:
                part = line.part
                lines.append(_part_text(part))
            lines.append(line.words)
        note = _look.words(self._note.value)
        return Card(self.name, self._identity, (*lines, *([note] if note else [])))

    async def _look_again(self) -> None:
        await self._readbacks()

    def line(self, name: str) -> "Line":
        """Return the line of what is called so: `panel.line("channel(1).voltage")`."""
        for line in self.lines:
            if line.name == name:
                return line
        raise PlanError(f"{self.name} has no {name!r} to show; it has {', '.join(each.name for each in self.lines)}")

    # ---- reading

    @property
    def used_by(self) -> tuple[str, ...]:
        """The runs and tasks that use the instrument now."""
        users = dict[str, None]()
        bodies: list[Any] = [self._instrument] if isinstance(self._instrument, Instrument) else []
        bodies += [device if not isinstance(device.body, Instrument) else device.body for device in self._devices()]
        for body in bodies:
            users |= dict.fromkeys(users_of(body))
        return tuple(users)

    def _devices(self) -> Iterable[Device]:
        return dict.fromkeys(device for line in self.lines for device in line.channel.devices)

    async def _readbacks(self) -> None:
        """Ask for what may be asked, one after the other; show what is known where a run is at it."""
        users = self.used_by
        self._note.value = (
            f'<span role="status" aria-live="polite">readbacks rest while {html.escape(", ".join(users))} uses it; '
            "values are those last set and read</span>"
            if users
            else ""
        )
        for line in self.lines:
            if self.closed or (not users and self.used_by):
                return
            if users or not line.is_quiet:
                line.show_known()
            else:
                await line.read()

    async def _make_safe(self) -> None:
        instrument = cast(Instrument, self._instrument)
        await instrument.make_safe()
        self._say(
            _look.plain(
                f"{self.name} is in its safe state"
                if not instrument.leave_on
                else f"{self.name} is left as it is (leave_on)"
            )
        )
        if not self.used_by:
            await self._readbacks()

    def post(self, act: Any, *args: object) -> None:  # any callable, also a coroutine function
        """Have `act` done on the loop."""
        self._post(act, *args)


class Line:
    """One thing of the instrument: its value, and what sets it."""

    def __init__(self, offer: Offer, owner: InstrumentPanel) -> None:
        self.offer, self._owner = offer, owner
        self.channel: Channel = channel(offer.thing)
        self._moving: asyncio.Task[Any] | None = None
        self._entered = False
        label = self.name = offer.label.removeprefix(f"{owner.name}.")
        doc = (getattr(offer.thing, "__doc__", "") or "").partition("\n")[0]
        self._value = _look.text("labnb-value", width="130px", value="–")
        self._error = _look.text("labnb-message")
        self.part, _, short = label.rpartition(".")
        shown = html.escape(_label_text(short))
        name = _look.text(value=f'<span title="{html.escape(doc)}">{shown}</span>', width="170px")
        line = _look.row([name, self._value, *self._controls(label)], "labnb-line")
        self.widget = _look.column([line, self._error])
        self._error.layout.display = "none"

    @property
    def words(self) -> str:
        """The line as text."""
        shown = _label_text(self.name.rpartition(".")[2])
        error = _look.words(self._error.value)
        return f"  {shown:<22} {_look.words(self._value.value):>14}   {error or self._rules()}".rstrip()

    def _controls(self, label: str) -> Iterator[widgets.Widget]:
        self.field: Any = None
        self.on: widgets.Button | None = None
        self.off: widgets.Button | None = None
        self.halt: widgets.Button | None = None
        self.read_button: widgets.Button | None = None
        if self.offer.switches:
            self.on = _look.button("On", f"Switch {label} on", partial(self._owner.post, self.set, True))
            self.off = _look.button("Off", f"Switch {label} off", partial(self._owner.post, self.set, False))
            yield from (self.on, self.off)
        elif self.channel.writable:
            yield from self._setting(label)
        if self.offer.reads and not self.is_quiet:
            self.read_button = _look.button("Read", f"Measure {label} now", partial(self._owner.post, self.read))
            yield self.read_button

    def _setting(self, label: str) -> Iterator[widgets.Widget]:
        unit = f" ({self.offer.unit})" if self.offer.unit else ""
        words = getattr(getattr(getattr(self.offer.thing, "_declared", None), "vals", None), "texts", None)
        if isinstance(words, dict):
            options = [("choose", None), *((word, word) for word in cast("dict[str, str]", words))]
            self.field = _look.choice(f"Set {label}", options, lambda: None, width="130px")
        else:
            written = partial(self._owner.post, self._written)
            self.field = _look.entry(f"Set {label}{unit}", written, hint=self._hint(), width="130px")
            self.field.on_msg(self._on_message)
        yield self.field
        self.apply_button = _look.button(
            "Set", f"Set {label} to what is written", partial(self._owner.post, self.apply)
        )
        yield self.apply_button
        if getattr(self.offer.thing, "pace", None):
            self.halt = _look.button(
                "Hold", f"Stop {label} where it is on its way", partial(self._owner.post, self.hold)
            )
            self.halt.disabled = True
            yield self.halt
        yield _look.text("labnb-soft", "labnb-grow", value=html.escape(self._rules()))

    def _on_message(self, _widget: object, content: dict[str, object], _buffers: object) -> None:
        if content.get("event") == "submit":
            self._owner.post(self._enter)

    async def _enter(self) -> None:
        """Set it, since Enter was pressed. The browser says so just before it says what was written."""
        self._entered = True
        await asyncio.sleep(_ENTER_S)
        await self._written()

    async def _written(self) -> None:
        """Set it, if Enter was pressed and what was written has come."""
        if self._entered:
            self._entered = False
            await self.apply()

    def _hint(self) -> str:
        low, high = self.offer.low, self.offer.high
        if low is not None or high is not None:
            return f"{'…' if low is None else f'{low:g}'} to {'…' if high is None else f'{high:g}'}"
        return self.offer.range_text if len(self.offer.range_text) < 20 else ""

    def _rules(self) -> str:
        low, high = self.offer.low, self.offer.high
        parts = [] if low is None and high is None else [f"limit {self._hint()} {self.offer.unit}".strip()]
        pace = getattr(self.offer.thing, "pace", None)
        if pace:
            parts += [f"steps of {pace.max_step:g} {self.offer.unit}".strip()] if pace.max_step is not None else []
            parts += [f"{pace.max_rate:g} {self.offer.unit}/s"] if pace.max_rate is not None else []
        return ", ".join(parts)

    @property
    def is_quiet(self) -> bool:
        """Whether asking for it changes nothing: a declared quantity or facet, as opposed to a measurement."""
        return self.offer.reads and isinstance(self.offer.thing, Quantity | Facet | Channel)

    # ---- on the loop

    async def read(self) -> None:
        """Ask for the value and show it, or what went wrong."""
        try:
            self._show(await self.channel.get())
        except Exception as error:  # noqa: BLE001  shown under its control
            self._tell(error)

    def show_known(self) -> None:
        """Show what was last set or read, without asking."""
        known = getattr(self.offer.thing, "cached", None)
        instrument = self.offer.instrument
        if known is None and instrument is not None and isinstance(self.offer.thing, Facet):
            known = instrument.known.get(self.offer.thing.name, (None, ""))[0]
        if known is not None:
            self._show(known)

    def _show(self, value: object) -> None:
        if self._owner.closed:
            return
        self._value.value = html.escape(_shown(value, self.channel.unit))
        if self.on is not None and self.off is not None and isinstance(value, bool):
            for button, active in ((self.on, value), (self.off, not value)):
                (button.add_class if active and value else button.remove_class)("labnb-on")

    async def apply(self) -> None:
        """Set it to what stands in the field."""
        text = self.field.value
        if text is None or not str(text).strip():
            self._tell(PlanError(f"{self.name}: write a value first, {self._expected()}"))
            return
        await self.set(_value_of(text, self.offer.thing))

    def _expected(self) -> str:
        told = getattr(self.offer.thing, "expected", "a value")
        return f"{told} in {self.offer.unit}" if self.offer.unit else str(told)

    async def set(self, value: object) -> None:
        """Set it, by the driver's own way; show what refuses it under the control. Cancelling it ends a ramp.

        What a run sweeps is the run's to set; else a setting beside a run is done, and the run takes note of it.
        Switching off is always done.
        """
        self._tell(None)
        runs = [run for run in under_way() if isinstance(run, Run) and run.run_id in self._owner.used_by]
        sweeping = [run.run_id for run in runs if any(map(self._is_this, run.swept))]
        if sweeping and not (self.offer.switches and value is False):
            self._tell(LifecycleError(f"{self.name} was not set: {sweeping[0]} sweeps it; {_HINT}"))
            return
        for run in runs:
            run.warn(f"{self._owner.name} {self.name} was set to {_shown(value, self.channel.unit)} by hand")
        self.hold()
        moving = self._moving = asyncio.ensure_future(self._send(value))
        self._allow_hold()
        try:
            await asyncio.wait([moving])
        except asyncio.CancelledError:
            moving.cancel()
            raise
        if self._moving is moving:
            self._moving = None
            self._allow_hold()
        if not moving.cancelled() and (error := moving.exception()) is not None:
            self._tell(cast(Exception, error))
        if self.offer.reads and not self._owner.used_by:
            await self._read_back()

    def _is_this(self, swept: Channel) -> bool:
        return (swept.name, swept.devices) == (self.channel.name, self.channel.devices)

    async def _send(self, value: object) -> None:
        await self.channel.set(value)

    def hold(self) -> None:
        """Stop a ramp where it is."""
        if self._moving is not None:
            self._moving.cancel()
            self._moving = None
            self._allow_hold()

    def _allow_hold(self) -> None:
        if self.halt is not None and not self._owner.closed:
            self.halt.disabled = self._moving is None

    async def _read_back(self) -> None:
        """Show the value again after it was set; an error that is shown stays."""
        try:
            self._show(await self.channel.get())
        except Exception as error:  # noqa: BLE001  shown under its control
            self._tell(error)

    def _tell(self, error: Exception | None) -> None:
        if self._owner.closed:
            return
        message = "" if error is None else _look.one_line(error)
        if message and self.channel.writable and not any(word in message for word in _TOLD):
            message = f"{message} (expected: {self._expected()})"
        self._error.value = _look.bad(message) if message else ""
        self._error.layout.display = None if message else "none"


def _label_text(name: str) -> str:
    return re.sub(r"^measure_(.*)", r"\1, measured", name).replace("_", " ")


def _part_text(part: str) -> str:
    """Return `channel 1` for `channel(1)`."""
    return part.replace("(", " ").replace(")", "").replace(".", " ")


def _value_of(text: object, thing: object) -> object:
    """Return what a person wrote as the number it is; other texts, also `5 mV`, as they are: the driver judges them."""
    if not isinstance(text, str):
        return text
    try:
        number = float(text)
    except ValueError:
        return text.strip()
    whole = getattr(thing, "expected", "").startswith("a whole number")
    return int(number) if whole and number.is_integer() else number


def _shown(value: object, unit: str) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, dict | tuple | list):
        parts = cast("dict[object, object]", value).values() if isinstance(value, dict) else cast("list[object]", value)
        return ", ".join(_shown(part, unit) for part in parts)
    if getattr(value, "shape", ()):
        return f"array {getattr(value, 'shape', '')}"
    if isinstance(value, int | float | complex | str):
        return value_text(value, unit, 5)
    return str(value)
