"""A sweep put together by choosing: up to two axes, what to read, a live figure, and the cell that does the same.

What the panel runs is the text of that cell, by the same engine and under the same limits.
"""

import asyncio
import contextlib
import html
import os
from collections.abc import Mapping, Sequence
from typing import Any

import ipywidgets as widgets
from IPython.core.getipython import get_ipython

from labnb.core import LabnbError, LifecycleError, PlanError, State, sweep
from labnb.live import clock_text
from labnb.notebook.panels import _look
from labnb.notebook.panels._card import Card
from labnb.notebook.panels._door import Panel, put
from labnb.notebook.panels._offers import Offer, name_of, offers_of
from labnb.notebook.panels._recipe import Recipe, SweptAxis, number_text
from labnb.notebook.panels._watching import Watching
from labnb.notebook.prepare import Prepared, prepare
from labnb.notebook.request import Request
from labnb.session import Run, data_root, describe

_ROWS = 9
_POINTS = "11"  # until a person says how many
_USES = {"sweeps": "can be swept", "reads": "can be read", "switches": "can be switched on"}
_NOTHING_YET = {"text/plain": ""}
_NOBODY = "bench"  # what the cell calls a bench that has no name in the notebook

AxisChoice = tuple[str, float, float, int]
"""Channel, from, to, points."""

# Copying is the browser's business: the text stands in the field beside the button.
_COPY = (
    '<button class="jupyter-button widget-button labnb-copy" title="Copy the text of a %%measure cell that does the same" '
    "onclick=\"const t=this.closest('.labnb-sweep').querySelector('.labnb-as-cell textarea');t.focus();t.select();"
    "document.execCommand('copy');this.textContent='Copied';setTimeout(()=>{this.textContent='Copy as cell'},1500)\">"
    "Copy as cell</button>"
)


class SweepPanel(Panel):
    """Choose up to two channels to sweep and any to read, see the plan, start it, and copy it as a cell.

    ```python
    bench = labnb.demo_bench()
    labnb.SweepPanel(bench)
    ```
    `bench` is `demo_bench()`, an open `Bench`, an instrument, or a mapping or list of instruments and channels of
    whatever driver. `name` is what the run is called, and the variable that holds it; `store` where runs are kept.
    Raises PlanError for a bench that offers nothing, LifecycleError where no event loop runs.
    """

    def __init__(self, bench: object, *, name: str = "scan", store: str | os.PathLike[str] | None = None) -> None:
        super().__init__("a sweep panel")
        self._bench, self._store = bench, store
        self._names = _notebook_names()
        self._root = name_of(bench, self._names)
        self.offers = offers_of(bench, self._root or _NOBODY, {} if self._root else self._names)
        self._prepared: Prepared | None = None
        self._watching: Watching | None = None
        self._run: Run | None = None
        self._pictures = list[Any]()  # IPython's display handles
        self._make_controls(name)
        self._build(*self._laid_out())
        self._refresh()

    # ---- what it consists of

    def _make_controls(self, name: str) -> None:
        refresh = self._posting(self._refresh)
        swept = [(offer.shown, offer) for offer in self.offers if offer.sweeps]
        readable = sorted(
            (offer for offer in self.offers if offer.reads), key=lambda offer: offer.sweeps or offer.switches
        )
        read = [(offer.shown, offer) for offer in readable]
        on = [(offer.shown, offer) for offer in self.offers if offer.switches]
        self.fast = AxisControls("Fast axis", [("nothing", None), *swept], self._post, refresh)
        self.slow = AxisControls("Slow axis", [("none", None), *swept], self._post, refresh)
        self.reads = _look.choice("Read at each point", read, refresh, width="auto", several=7)
        self.switches = _look.choice("Switch on first", on, refresh, width="auto", several=7)
        self.name = _look.entry("Name of the run", refresh, value=name, width="130px")
        self.dwell = _look.entry("Dwell (s)", refresh, value="0", width="90px")
        self.plan = _look.text("labnb-plan", "labnb-mono")
        self.cell = _look.area("As a cell", _ROWS, "labnb-mono", "labnb-as-cell")
        self.start = _look.button("Start", "Measure what the plan says", self._posting(self._start), "labnb-primary")
        self._place = widgets.VBox(layout={"overflow": "visible"})

    def _laid_out(self) -> tuple[widgets.Widget, ...]:
        title = _look.text(
            "labnb-title", value="Sweep<small>what a %%measure cell does, put together by choosing</small>"
        )
        half = {"flex": "1 1 0", "min_width": "240px"}
        chosen = _look.row([_look.column([self.reads], **half), _look.column([self.switches], **half)], "labnb-columns")
        buttons = _look.row([self.start, _look.text(value=_COPY), self.name, self.dwell])
        plan = _look.column([self.plan, self._message], **half)
        below = _look.row([plan, _look.column([self.cell], **half)], "labnb-columns")
        self.widget.add_class("labnb-sweep")
        return title, self.fast.widget, self.slow.widget, chosen, below, buttons, self._place

    # ---- what it says before anything moves

    @property
    def run(self) -> Run | None:
        """The run that it has started last."""
        return self._run

    @property
    def recipe(self) -> Recipe:
        """What is chosen. Raises PlanError for what cannot be a sweep."""
        axes = [axis for axis in (self.slow.chosen(), self.fast.chosen()) if axis is not None]
        if self.fast.offer is None and axes:
            raise PlanError("choose the fast axis too; a slow axis alone is a fast one")
        return Recipe(
            self.name.value.strip(), tuple(axes), self.reads.value, self.switches.value, _number(self.dwell, "s")
        )

    def choose(
        self,
        *,
        fast: AxisChoice | None = None,
        slow: AxisChoice | None = None,
        read: Sequence[str] = (),
        on: Sequence[str] = (),
    ) -> "SweepPanel":
        """Fill in the panel, to be looked at and changed; return it.

        An axis is (channel, from, to, points); channels are called as the lists call them, without units:
        `choose(fast=("psu.channel(1).voltage", 0, 0.8, 41), read=["dmm.measure_current_dc"])`. Raises PlanError for
        what the panel does not offer.
        """
        chosen = [self._offer(axis[0], "sweeps") if axis is not None else None for axis in (fast, slow)]
        reads = tuple(self._offer(name, "reads") for name in read)
        switches = tuple(self._offer(name, "switches") for name in on)
        for controls, offer, axis in zip((self.fast, self.slow), chosen, (fast, slow), strict=True):
            controls.channel.value = offer
            if axis is not None:
                self._post(controls.fill, *axis[1:])  # after the limits, which the choice of the channel fills in
        self.reads.value, self.switches.value = reads, switches
        return self

    def _offer(self, name: str, use: str) -> Offer:
        usable = {offer.label: offer for offer in self.offers if getattr(offer, use)}
        if name not in usable:
            raise PlanError(f"this bench has no {name!r} that {_USES[use]}; there are {', '.join(usable) or 'none'}")
        return usable[name]

    def _card(self) -> Card:
        axes = [f"{label:<18}{axis.words}" for label, axis in (("Fast axis", self.fast), ("Slow axis", self.slow))]
        lists = (("Read", self.reads.value), ("Switch on first", self.switches.value))
        told = [f"{label:<18}{', '.join(offer.label for offer in offers)}".rstrip() for label, offers in lists]
        below = [self.plan.value, self.cell.value, self._message.value]
        blocks = [("", *_look.words(each).rstrip().split("\n")) for each in below if each]
        figure = self._watching.figure if self._watching is not None else None
        return Card(
            "Sweep", "put together by choosing", (*axes, *told, *(line for block in blocks for line in block)), figure
        )

    async def _look_again(self) -> None:
        """Stop a run that still measures, as `close` does; its points are shown."""
        if self._run is not None and self._watching is not None and not self._run.state.ended:
            self._watching.stop()
            await asyncio.wait([asyncio.ensure_future(_ended(self._run))])

    def _refresh(self) -> None:
        """Show the plan and the cell of what is chosen, or what is wrong with it."""
        self._prepared = None
        self.cell.value, self.plan.value = "", ""
        try:
            recipe = self.recipe
            self.cell.value = self._cell_text(recipe)
            self.cell.rows = max(_ROWS, self.cell.value.count("\n") + 1)
            self._prepared = self._prepare(recipe)
            self.plan.value = self._plan_html(recipe, self._prepared)
            self._say("")
        except Exception as error:  # noqa: BLE001  shown where a person chooses
            if self._complete:
                self._failed(error)
            else:
                self.plan.value = f'<span class="labnb-empty">{html.escape(_look.one_line(error))}</span>'
                self._say("")
        self._allow()

    @property
    def _complete(self) -> bool:
        """Whether enough is chosen for something to be wrong, as opposed to not there yet."""
        return self.fast.offer is not None and bool(self.reads.value)

    def _prepare(self, recipe: Recipe) -> Prepared:
        names = dict(self._names)
        names.setdefault(self._root or _NOBODY, self._bench)
        names["sweep"] = sweep
        return prepare(Request(recipe.name), recipe.source, f"<sweep panel {recipe.name}>", names)

    def _cell_text(self, recipe: Recipe) -> str:
        if self._root or _NOBODY in self._names or not any(each.code.startswith(_NOBODY) for each in self.offers):
            return recipe.cell
        first, _, rest = recipe.cell.partition("\n")
        return f"{first}\n# the bench of this panel has no name in the notebook; call it {_NOBODY}\n{rest}"

    def _plan_html(self, recipe: Recipe, prepared: Prepared) -> str:
        told = describe(prepared.job, data_root(self._store_text))
        points = prepared.job.outline.points(prepared.job.axes)
        if recipe.dwell_s and points and "at the pace" not in told:
            first, _, rest = told.partition("\n")
            told = f"{first}, at least {clock_text(points * recipe.dwell_s)} of dwell\n{rest}"
        return html.escape(told)

    @property
    def _store_text(self) -> str | None:
        return None if self._store is None else os.fspath(self._store)

    def _allow(self) -> None:
        going = self._run is not None and not self._run.state.ended
        self.start.disabled = going or self._prepared is None

    # ---- running

    async def measure(self) -> Run:
        """Do what Start does; return the run when it has ended. Raises PlanError for what cannot be measured."""
        begun = self._run
        filled = self._loop.create_future()
        self._post(filled.set_result, None)  # behind all that was chosen before
        await filled
        await self._start()
        if self._run is None or self._run is begun:
            raise PlanError(_look.words(self._message.value or self.plan.value).removeprefix("✗ "))
        return self._run

    async def _start(self) -> None:
        self._refresh()
        prepared, name = self._prepared, self.name.value.strip()
        if prepared is None:
            return
        if self._run is not None and not self._run.state.ended:
            raise LifecycleError(f"run {self._run.run_id} still measures; stop it first")
        shell = get_ipython()
        held = None if shell is None else shell.user_ns.get(name)
        if isinstance(held, Run) and not held.state.ended:
            raise PlanError(f"{name} still measures (run {held.run_id}): wait for it, stop it, or choose another name")
        made = list[Watching]()
        self._run = Run(
            prepared.job, data_root(self._store_text), lambda run: made.append(Watching(run)) or made[0]
        ).start()
        self._watch(made[0])
        self._keep(_NOTHING_YET)
        if shell is not None:
            shell.user_ns[name] = self._run
        self._allow()
        await self._follow(self._run, made[0], name)

    async def _follow(self, run: Run, watching: Watching, name: str) -> None:
        """Wait for a run; say how it ended, and keep its picture."""
        try:
            await run
        except LabnbError:
            if run.state is not State.CANCELLED:
                self._say(_look.bad(f"{name} failed; the points before it are kept: see below"))
        else:
            place = f"{name}.data" if get_ipython() is not None else str(run.path)
            self._say(_look.plain(f"{name} {run.state}: {run.points} points are in {place}"))
        finally:
            self._allow_again()
            if self._pictures and not self.closed:
                self._keep(await watching.freeze())

    def _ipython_display_(self) -> None:
        """Show it, and below it a place for the picture of its run, which the notebook keeps without a kernel."""
        super()._ipython_display_()
        self._pictures += put(_NOTHING_YET)

    async def freeze(self) -> None:
        """Replace it by a picture of what it shows now, its run's figure included, and close it."""
        await super().freeze()
        self._keep(_NOTHING_YET)

    def _keep(self, kept: dict[str, str]) -> None:
        for place in self._pictures:
            place.update(kept, raw=True)

    def _allow_again(self) -> None:
        if not self.closed:
            self._allow()

    def _watch(self, watching: Watching) -> None:
        before, self._watching = self._watching, watching
        self._place.children = (watching.panel.widget,)
        if before is not None:
            before.close()

    def close(self) -> None:
        """Stop the run that it has started, if that still measures, and free its widgets; the points are kept."""
        if self._watching is not None:
            self._watching.stop()
            self._watching.close()
        super().close()


class AxisControls:
    """Channel, from, to, points and step of one axis. They say what is typed; nothing is kept here."""

    def __init__(self, label: str, options: list[tuple[str, Offer | None]], post: Any, refresh: Any) -> None:
        self._label, self._refresh = label, refresh
        self.channel = _look.choice(label, options, lambda: post(self._prefill), width="300px")
        self.start = _look.entry("From", refresh, width="110px")
        self.stop = _look.entry("To", refresh, width="110px")
        self.points = _look.entry("Points", lambda: post(self._by_points), value=_POINTS, width="80px")
        self.step = _look.entry("or step", lambda: post(self._by_step), width="110px")
        self._taken = _look.text("labnb-soft", "labnb-taken")
        self.widget = _look.row([self.channel, self.start, self.stop, self.points, self.step, self._taken])

    @property
    def offer(self) -> Offer | None:
        """What is to be swept."""
        return self.channel.value

    def chosen(self) -> SweptAxis | None:
        """Return the axis; None if nothing is to be swept. Raises PlanError for what is no number."""
        offer = self.offer
        if offer is None:
            return None
        start, stop = _number(self.start, offer.unit), _number(self.stop, offer.unit)
        if self.step.value.strip():
            return SweptAxis(offer, start, stop, step=_number(self.step, offer.unit))
        count = _number(self.points, "")
        if count != int(count) or not 1 <= count <= 10_000_000:
            raise PlanError(f"{self._label}, points: expected a whole number, 1 or more, got {self.points.value!r}")
        return SweptAxis(offer, start, stop, points=int(count))

    def fill(self, start: float, stop: float, points: int) -> None:
        """Write from, to and points."""
        self.start.value, self.stop.value = number_text(start), number_text(stop)
        self.step.value, self.points.value = "", str(points)
        self._refresh()

    @property
    def words(self) -> str:
        """What is chosen, as text."""
        if self.offer is None:
            return "none"
        size = f"step {self.step.value}" if self.step.value.strip() else f"{self.points.value} points"
        return f"{self.offer.shown}   from {self.start.value} to {self.stop.value}, {size}"

    def _prefill(self) -> None:
        """Write the safety limits of what was chosen, and say what the instrument takes."""
        offer = self.offer
        low, high = (None, None) if offer is None else (offer.low, offer.high)
        self.start.value = "" if low is None else number_text(low)
        self.stop.value = "" if high is None else number_text(high)
        unit = "" if offer is None else offer.unit
        for field, word in ((self.start, "From"), (self.stop, "To"), (self.step, "or step")):
            field.description = f"{word} ({unit})" if unit else word
        self._taken.value = "" if offer is None else html.escape(_taken_text(offer))
        self._refresh()

    def _by_points(self) -> None:
        if self.points.value.strip():
            self.step.value = ""
        self._refresh()

    def _by_step(self) -> None:
        if self.step.value.strip():
            self.points.value = ""
        elif not self.points.value.strip():
            self.points.value = _POINTS
        self._refresh()


async def _ended(run: Run) -> None:
    with contextlib.suppress(LabnbError):  # shown where it was started
        await run


def _taken_text(offer: Offer) -> str:
    limit = "" if offer.low is None and offer.high is None else f"limit {_end(offer.low)} to {_end(offer.high)}"
    takes = f"takes {offer.range_text}" if offer.range_text else ""
    return f"{', '.join(part for part in (limit, takes) if part)} {offer.unit}".strip()


def _end(number: float | None) -> str:
    return "any" if number is None else f"{number:g}"


def _number(field: widgets.Text, unit: str) -> float:
    what, text = field.description.partition(" (")[0], field.value.strip()
    try:
        return float(text)
    except ValueError:
        told = f" in {unit}" if unit else ""
        raise PlanError(
            f"{what}: fill in a number{told}" if not text else f"{what}: expected a number{told}, got {text!r}"
        ) from None


def _notebook_names() -> Mapping[str, Any]:  # the notebook's names may hold anything
    shell = get_ipython()
    return {} if shell is None else shell.user_ns
