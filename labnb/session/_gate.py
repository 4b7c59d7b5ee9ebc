"""How a running body learns that it shall pause, stop or give up: one order, obeyed between two points."""

import asyncio
import contextlib
from collections.abc import Callable, Generator
from enum import Enum

from labnb.core import Condition, LabnbError

# A timer that is due sets a future in one turn of the loop; the task that waits for it goes on in the next, and what that
# wakes in the third. With one turn at a time a body that never waits would hold up each of these by as long as it works.
_TURNS = 3


class Order(Enum):
    """What the body has to do at its next point."""

    GO = "go"
    HOLD = "hold"
    STOP = "stop"


class Halted(BaseException):
    """Leaves the body between two points.

    Not an Exception: a body that catches its own instrument errors must not catch this. `with` and `finally` of the
    body still run.
    """


class Interrupted(BaseException):
    """The body was broken off by the keyboard."""


@contextlib.contextmanager
def translated() -> Generator[None]:
    """Turn what would end the event loop itself into what ends this run."""
    try:
        yield
    except KeyboardInterrupt as error:
        raise Interrupted from error
    except SystemExit as error:
        raise LabnbError("the body called exit(); to end a run early use break, or Stop") from error


class Gate:
    """Hold the order of one run. The run's loop writes it; the body, on a loop or in a thread, obeys it.

    `bell` is called after every change, so that the body's loops look up even while nothing else would make them.
    """

    def __init__(self, bell: Callable[[], None]) -> None:
        self._order = Order.GO
        self.leaving = False
        """Whether the body has ended its points, by itself or by obeying STOP: what it still does is cleaning up."""
        self._changed = Condition()
        self._bell = bell
        self._waiters: set[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = set()

    @property
    def order(self) -> Order:
        """The order in force."""
        return self._order

    def give(self, order: Order) -> None:
        """Put `order` in force; STOP is final. May be called from any thread."""
        with self._changed:
            if self._order is Order.STOP:
                return
            self._order = order
            self._changed.notify_all()
            waiters = list(self._waiters)
        for loop, event in waiters:
            with contextlib.suppress(RuntimeError):  # a loop of the body's own, which has ended meanwhile
                loop.call_soon_threadsafe(event.set)
        self._bell()

    def obey(self, pause_s: float = 0.0) -> None:
        """Block for `pause_s` and while the order is HOLD. Raises Halted when it is STOP."""
        with self._changed:
            if pause_s > 0:
                self._changed.wait_for(lambda: self._order is Order.STOP, pause_s)
            self._changed.wait_for(lambda: self._order is not Order.HOLD)
            self._halt_if_told()

    async def obey_async(self, pause_s: float = 0.0) -> None:
        """Let the loop do what is due, then wait like `obey`. Raises Halted when the order is STOP."""
        for _ in range(_TURNS):
            await asyncio.sleep(0)
        if pause_s > 0 and self._order is not Order.STOP:
            await self._wait(lambda: self._order is Order.STOP, pause_s)
        if self._order is Order.HOLD:
            await self._wait(lambda: self._order is not Order.HOLD, None)
        self._halt_if_told()

    def _halt_if_told(self) -> None:
        if self._order is Order.STOP:
            self.leaving = True
            raise Halted

    async def _wait(self, condition: Callable[[], bool], timeout_s: float | None) -> None:
        event = asyncio.Event()
        waiter = (asyncio.get_running_loop(), event)
        with self._changed:
            self._waiters.add(waiter)
        try:
            async with asyncio.timeout(timeout_s):
                while not condition():
                    await event.wait()
                    event.clear()
        except TimeoutError:
            return
        finally:
            with self._changed:
                self._waiters.discard(waiter)
