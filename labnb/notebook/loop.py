"""The one place that knows the kernel: its event loop, its interrupts, and the code that may be on its main thread."""

import asyncio
import contextlib
import signal
import threading
from collections.abc import Callable, Generator
from types import CodeType, FrameType


class MeasureInterrupted(KeyboardInterrupt):
    """A measurement was interrupted by the keyboard; its points are kept. Shown as one line."""

    def _render_traceback_(self) -> list[str]:
        """Return what IPython shows instead of a traceback."""
        return [f"Measurement interrupted: {self.args[0]}"]


@contextlib.contextmanager
def interrupts(cancel: Callable[[], object], body: CodeType | None) -> Generator[None]:
    """Let the first SIGINT call `cancel` on the loop; let each further one break into `body` where it blocks.

    Outside of the main thread signals are not ours, and nothing changes.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    loop = asyncio.get_running_loop()
    count = 0

    def handle(signum: int, frame: FrameType | None) -> None:
        nonlocal count
        count += 1
        loop.call_soon_threadsafe(cancel)
        if count > 1 and body is not None and _is_running(body, frame):
            raise KeyboardInterrupt

    before = signal.signal(signal.SIGINT, handle)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _is_running(code: CodeType, frame: FrameType | None) -> bool:
    while frame is not None:
        if frame.f_code is code:
            return True
        frame = frame.f_back
    return False
