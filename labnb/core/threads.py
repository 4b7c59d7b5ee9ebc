"""Whether this Python has threads. In a browser (Pyodide, JupyterLite) it has none, and what can do without does so."""

import asyncio
import sys
import threading
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from labnb.core.errors import LabnbError

P = ParamSpec("P")
T = TypeVar("T")

_WITHOUT = ("emscripten", "wasi")


def have_threads() -> bool:
    """Return whether threads can be started at all."""
    return sys.platform not in _WITHOUT


async def beside(work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Return what `work` returns: done in a thread beside the loop, or at once where there are no threads."""
    if have_threads():
        return await asyncio.to_thread(work, *args, **kwargs)
    return work(*args, **kwargs)


def begin_thread(work: Callable[[], object], name: str, what: str) -> threading.Thread:
    """Start a daemon thread and return it. Raises LabnbError, which says `what` cannot be, where there are no threads."""
    if not have_threads():
        raise LabnbError(
            f"{what} needs a thread, and Python in a browser has none: use a kernel on a computer, or leave it out "
            "(see labnb.docs.jupyterlite)"
        )
    thread = threading.Thread(target=work, name=name, daemon=True)
    try:
        thread.start()
    except RuntimeError as error:
        raise LabnbError(f"{what} needs a thread, and this computer starts no more of them: {error}") from error
    return thread
