"""Who has reserved which instruments, since when, and who waits for them; told by the service at every change."""

import asyncio
import html
import os
from collections.abc import Iterator
from contextlib import aclosing
from datetime import datetime
from typing import TYPE_CHECKING

import ipywidgets as widgets

from labnb.core import ReservationError
from labnb.notebook.panels import _look
from labnb.notebook.panels._card import Card
from labnb.notebook.panels._door import Panel
from labnb.session import release_own

if TYPE_CHECKING:  # what they need is loaded when there is a service to ask
    from labnb.sharing import AsyncReservationClient, Holder, Queued, Reservation

_AGAIN_S = 1.0
_NOBODY = "nobody has reserved anything; Bench.open(..., reserve=True) or labnb.reserve(...) does"


def reservations() -> "ReservationsPanel":
    """Return the panel of reserved instruments, with Release for one's own and Take away for those of others."""
    return ReservationsPanel()


class ReservationsPanel(Panel):
    """Shows who has which instruments, live. Made by `labnb.reservations()`."""

    def __init__(self) -> None:
        super().__init__("the panel of reservations")
        self._client: AsyncReservationClient | None = None
        self._lines: tuple[Line, ...] = ()
        self._place = widgets.VBox(layout={"overflow": "visible"})
        title = _look.text("labnb-title", value="Reservations<small>who has which instruments, and who waits</small>")
        self._build(title, self._place, self._message)
        self._show((), ())
        self._begin(self._watch())

    @property
    def lines(self) -> tuple["Line", ...]:
        """The lines on show: what is reserved, the oldest first."""
        return self._lines

    def _card(self) -> Card:
        lines = tuple(_look.words(text.value) for text in self._texts())
        return Card("Reservations", "who has which instruments, and who waits", lines)

    def _texts(self) -> Iterator[widgets.HTML]:
        """Yield what is on show as text, line by line."""
        for line in self._place.children:
            parts = getattr(line, "children", (line,))
            yield from (part for part in parts if isinstance(part, widgets.HTML))

    async def _watch(self) -> None:
        """Follow the service, whenever there is one."""
        from labnb.sharing import find_service

        while not self.closed:
            try:
                address = find_service()
                if address is not None:
                    await self._follow(address)
            except ReservationError as error:
                self._failed(error)
            await asyncio.sleep(_AGAIN_S)

    async def _follow(self, address: str) -> None:
        from labnb.sharing import AsyncReservationClient

        client = self._client = AsyncReservationClient(address)
        try:
            async with aclosing(client.watch()) as situations:
                async for situation in situations:
                    self._say("")
                    self._show(situation.reservations, situation.queue)
        finally:
            self._client = None
            await client.close()

    def _show(self, held: "tuple[Reservation, ...]", queue: "tuple[Queued, ...]") -> None:
        if self.closed:
            return
        before = {line.reservation.token: line for line in self._lines}
        now = [before.pop(each.token, None) or Line(each, self) for each in held]
        for gone in before.values():
            gone.close()
        for queued in self._place.children[len(self._lines) :]:
            _look.free(queued)
        self._lines = tuple(now)
        self._place.children = (*(line.widget for line in now), *self._rest(bool(held), queue))

    def _rest(self, some_held: bool, queue: "tuple[Queued, ...]") -> Iterator[widgets.Widget]:
        if not some_held and not queue:
            yield _look.text("labnb-empty", value=_NOBODY)
        for each in queue:
            yield _look.row([_look.text("labnb-grow", "labnb-plan", value=_waiting(each))], "labnb-line")

    def post(self, act: object, *args: object) -> None:
        """Have `act` done on the loop, and show what came of it."""
        if callable(act):
            self._post(act, *args)

    async def release(self, reservation: "Reservation") -> None:
        """Give back what this kernel has reserved; its next exchange raises ReservationLost."""
        if not await asyncio.to_thread(release_own, reservation.token):
            await self.take_away(reservation)

    async def take_away(self, reservation: "Reservation") -> None:
        """Take it away from its holder, whose next exchange raises ReservationLost."""
        if self._client is None:
            raise ReservationError("the reservation service is not there; what it knew it will know when it is back")
        await self._client.force_release(reservation.token, "in the panel of reservations")


class Line:
    """One reservation."""

    def __init__(self, reservation: "Reservation", owner: ReservationsPanel) -> None:
        self.reservation, self._owner = reservation, owner
        own = reservation.holder.pid == os.getpid()
        what = ", ".join(reservation.resources)
        self.release_button = _look.button("Release", f"Give {what} back", self._posting(owner.release))
        self.take_button = _look.button("Take away…", f"Take {what} away from who has it", self._asking(True))
        self.yes_button = _look.button("Yes, take away", f"Take {what} away now", self._posting(owner.take_away))
        self.yes_button.add_class("labnb-primary")
        self.no_button = _look.button("Leave it", f"Leave {what} to who has it", self._asking(False))
        self._question = _look.text("labnb-bad", value="✗ what is measured there now will fail")
        self._asked = (self._question, self.yes_button, self.no_button)
        self._usual = (self.release_button,) if own else (self.take_button,)
        self._text = _look.text("labnb-grow", "labnb-plan", value=_having(reservation, own))
        self.widget = _look.row([self._text, *self._usual], "labnb-line")

    def _posting(self, act: object) -> "_Post":
        return _Post(self._owner, act, self.reservation)

    def _asking(self, asked: bool) -> "_Post":
        return _Post(self._owner, self._ask, asked)

    def _ask(self, asked: object) -> None:
        """Ask once more, or ask no longer."""
        self.widget.children = (self._text, *(self._asked if asked else self._usual))

    def close(self) -> None:
        """Free its widgets, also those that are not on show."""
        self.widget.children = (self._text, *self._asked, self.release_button, self.take_button)
        _look.free(self.widget)


class _Post:
    """What a button does: it posts."""

    def __init__(self, owner: ReservationsPanel, act: object, argument: object) -> None:
        self._owner, self._act, self._argument = owner, act, argument

    def __call__(self) -> None:
        self._owner.post(self._act, self._argument)


def _having(reservation: "Reservation", own: bool) -> str:
    since = datetime.fromtimestamp(reservation.since_ns / 1e9).astimezone()
    today = since.date() == datetime.now().astimezone().date()
    when = since.strftime("%H:%M:%S" if today else "%Y-%m-%d %H:%M")
    to_read = ", to read" if reservation.mode == "read" else ""
    who = "this kernel" if own else _who(reservation.holder)
    return _told(reservation.resources, f"{who} since {when}{to_read}")


def _waiting(queued: "Queued") -> str:
    return _told(queued.resources, f"{_who(queued.holder)} waits, place {queued.position}")


def _who(holder: "Holder") -> str:
    return str(holder)


def _told(resources: tuple[str, ...], text: str) -> str:
    name = html.escape(", ".join(resources))
    return f'<span class="labnb-name">{name}</span>\n<span role="status" aria-live="polite">{html.escape(text)}</span>'
