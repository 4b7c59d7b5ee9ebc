"""The one door between the controls of a panel and the loop, and the end of all that a panel has begun.

Callbacks of widgets may come on any thread; they post what a person wants, and it is done on the loop.
"""

import asyncio
import base64
from abc import ABC, abstractmethod
from collections.abc import Callable, Coroutine, Mapping
from functools import partial
from typing import Any, cast

import ipywidgets as widgets
from IPython.display import display

from labnb.core import LifecycleError
from labnb.notebook.panels import _look
from labnb.notebook.panels._card import Card, card_picture


def put(shown: Mapping[str, object]) -> list[Any]:  # IPython's DisplayHandle
    """Display `shown` in the cell; return what replaces it later, which there is only where a shell is."""
    handle = display(shown, raw=True, display_id=True)
    return [] if handle is None else [handle]


class Panel(ABC):
    """What all panels have: a widget that shows itself in a cell, tasks on the loop, `freeze` and `close`.

    A subclass gives its children to `_build`, its words to `_card`, and does things by `_post` and `_begin`. While nobody
    looks, `watched` is False, and whatever repeats itself rests.
    """

    def __init__(self, what: str) -> None:
        try:
            self._loop = asyncio.get_running_loop()
        except RuntimeError:
            raise LifecycleError(
                f"{what} needs a running event loop, as a notebook has; in a script use Measurement"
            ) from None
        self._tasks = set[asyncio.Task[Any]]()
        self._closed = False
        self._handles = list[Any]()  # IPython's DisplayHandle, one for each cell that shows it
        self._message = _look.text("labnb-message")
        self.widget = widgets.VBox(_view_count=0)  # from now on it counts the views in the browser
        _look.dressed(self.widget, "labnb-panel", "labnb-tool")

    def _build(self, *children: widgets.Widget) -> None:
        self.widget.children = (_look.sheet(), *children)

    @property
    def closed(self) -> bool:
        """Whether it has been closed."""
        return self._closed

    @property
    def watched(self) -> bool:
        """Whether it is on show somewhere."""
        return not self._closed and bool(getattr(self.widget, "_view_count"))  # noqa: B009  ipywidgets has no public name for it

    def _ipython_display_(self) -> None:
        """Show the widget; where there is none, in a notebook that is read without a kernel, its words."""
        if self._closed:
            display({"text/plain": f"{self!r}: closed"}, raw=True)
            return
        shown = cast("dict[str, object]", self.widget._repr_mimebundle_())  # pyright: ignore[reportPrivateUsage]  IPython's name for it
        self._handles += put({**shown, "text/plain": self._card().text})

    @abstractmethod
    def _card(self) -> Card:
        """Return what it shows now."""

    async def _look_again(self) -> None:  # noqa: B027  most panels are always up to date
        """Bring what it shows up to date, though nobody may be looking."""

    async def freeze(self) -> None:
        """Replace it, wherever it is on show, by a picture of what it shows now, and close it.

        The picture stays in the notebook for readers without a kernel: a widget that is dead shows nothing.
        """
        if self._closed:
            return
        await self._guarded(self._look_again())
        card = self._card()
        picture = await asyncio.to_thread(card_picture, card)
        self.close()
        kept = {"text/plain": card.text, "image/png": base64.b64encode(picture).decode("ascii")}
        for handle in self._handles:
            handle.update(kept, raw=True)

    # ---- intentions, from any thread

    def _post(self, act: Callable[..., object], *args: object) -> None:
        """Have `act` done on the loop; what it raises is shown in the panel."""
        if not self._closed:
            self._loop.call_soon_threadsafe(partial(self._do, act, *args))

    def _posting(self, act: Callable[..., object], *args: object) -> Callable[[], None]:
        """Return what posts `act` when it is called: the callback of a control."""
        return partial(self._post, act, *args)

    def _do(self, act: Callable[..., object], *args: object) -> None:
        if self._closed:
            return
        try:
            made = act(*args)
        except Exception as error:  # noqa: BLE001  the boundary where a person sees it
            self._failed(error)
            return
        if asyncio.iscoroutine(made):
            self._begin(made)

    # ---- on the loop

    def _begin(self, work: Coroutine[Any, Any, object]) -> "asyncio.Task[None]":
        """Begin a task that ends with the panel at the latest; what it raises is shown."""
        task = self._loop.create_task(self._guarded(work), name=f"labnb {type(self).__name__}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _guarded(self, work: Coroutine[Any, Any, object]) -> None:
        try:
            await work
        except Exception as error:  # noqa: BLE001  the boundary where a person sees it
            self._failed(error)

    async def _repeat(self, every_s: float, act: Callable[[], Any]) -> None:  # nothing, or a coroutine
        """Do `act` again and again while somebody looks; what it raises is shown, and it is tried again."""
        while not self._closed:
            if self.watched:
                await self._guarded(self._once(act))
            await asyncio.sleep(every_s)

    async def _once(self, act: Callable[[], Any]) -> None:  # as above
        made = act()
        if asyncio.iscoroutine(made):
            await made

    def _failed(self, error: Exception) -> None:
        self._say(_look.bad(_look.one_line(error)))

    def _say(self, message: str) -> None:
        if not self._closed:
            self._message.value = message

    def close(self) -> None:
        """End all that it has begun and free its widgets; its words stay. What it has set at instruments stays, too."""
        if self._closed:
            return
        words = self._card().text
        self._closed = True
        for task in tuple(self._tasks):
            if not self._loop.is_closed():
                self._loop.call_soon_threadsafe(task.cancel)
        _look.free(self.widget)
        for handle in self._handles:
            handle.update({"text/plain": words}, raw=True)
