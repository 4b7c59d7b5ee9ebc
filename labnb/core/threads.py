"""Whether this Python has threads. In a browser (Pyodide, JupyterLite) it has none, and what can do without does so."""

import sys
import threading
from collections.abc import Callable

from labnb.core.errors import LabnbError

_WITHOUT = ("emscripten", "wasi")


def have_threads() -> bool:
    """Return whether threads can be started at all."""
    return sys.platform not in _WITHOUT


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
