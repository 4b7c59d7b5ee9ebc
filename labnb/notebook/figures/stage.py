"""The widget over the data of a figure: it paints maps, follows the mouse, and tells what a person wishes.

What follows the mouse happens in the page (`stage.js`). Maps come as patches of rows: a page never gets the whole again.
"""

from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anywidget
import numpy as np
from ipywidgets import widget_serialization
from numpy.typing import NDArray
from traitlets import Any as AnyTrait
from traitlets import Bytes, Dict, List, Unicode

from labnb.live import Picture
from labnb.notebook.style import colour_table

BUDGET_BYTES = 15_000
"""What one update of a map sends at most, some: ten a second are 150 kB/s. What is left follows at the next ones."""


class Stage(anywidget.AnyWidget):
    """Lies over one bqplot figure, whose scales it shares. `wishes` are emptied by whoever fulfils them.

    `on_wish` is called when there is a new one; it may be on another thread and must do no more than post.
    """

    _esm = Path(__file__).with_name("stage.js")
    x_scale = AnyTrait().tag(sync=True, **widget_serialization)
    y_scale = AnyTrait().tag(sync=True, **widget_serialization)
    margin = List([0, 0, 0, 0]).tag(sync=True)
    log = List([False, False]).tag(sync=True)
    names = List([["", ""], ["", ""]]).tag(sync=True)
    label = Unicode("").tag(sync=True)
    shape = List([]).tag(sync=True)
    box = List([0.0, 1.0, 0.0, 1.0]).tag(sync=True)
    across = Bytes(b"").tag(sync=True)
    up = Bytes(b"").tag(sync=True)
    colours = List([0.0, 1.0]).tag(sync=True)
    table = Bytes(b"").tag(sync=True)
    cut = List([]).tag(sync=True)
    dots = Bytes(b"").tag(sync=True)
    wish = Dict({}).tag(sync=True)
    asked = List([]).tag(sync=True)
    answer = List([0, ""]).tag(sync=True)

    def __init__(self, on_wish: Callable[[], None], **traits: Any) -> None:  # traitlets' values
        self.wishes = deque[dict[str, Any]]()  # what a page sends: JSON
        self.question: tuple[float, float, int] | None = None
        self.is_new_page = False
        self._on_wish = on_wish
        self._epoch = -1
        super().__init__(**traits)
        self.observe(self._take_wish, "wish")
        self.observe(self._take_question, "asked")
        self.on_msg(self._greet)

    def _take_wish(self, change: dict[str, Any]) -> None:  # traitlets' change: values of any trait
        self.wishes.append(change["new"])
        self._on_wish()

    def _take_question(self, change: dict[str, Any]) -> None:  # as above
        x, y, serial = change["new"]
        self.question = (float(x), float(y), int(serial))
        self._on_wish()

    def _greet(self, _widget: object, content: dict[str, Any], _buffers: object) -> None:  # JSON
        if content.get("hello"):
            self.is_new_page = True
            self._on_wish()

    def reply(self, find: Callable[[float, float], str]) -> bool:
        """Answer the page's last question, if there is one, by `find(x, y)`."""
        question, self.question = self.question, None
        if question is None:
            return False
        self.answer = [question[2], find(*question[:2])]
        return True

    def prepare(self, picture: Picture) -> None:
        """Get ready for a picture: its shape, and where its cells are."""
        rows, columns = picture.cells.values.shape
        self.across, self.up = _positions(picture.across.pixels), _positions(picture.up.pixels)
        self.box = [*picture.x.limits, *picture.y.limits]
        self.shape = [rows, columns]

    def paint(self, picture: Picture, budget: int | None) -> None:
        """Send what changed in a picture, in some `budget` bytes."""
        if self.is_new_page:
            self.is_new_page = False
            picture.cells.touch_all()
        colours = picture.colours
        self.colours = [colours.low, colours.high]
        self.table = colour_table(colours.signed).tobytes()
        cleared, self._epoch = picture.cells.epoch != self._epoch, picture.cells.epoch
        if cleared:
            self.prepare(picture)
        patches = picture.cells.patches(budget)
        if patches or cleared:
            self.send({"clear": cleared}, [patches])


def _positions(pixels: NDArray[np.int64]) -> bytes:
    return pixels.astype("<u2").tobytes()
