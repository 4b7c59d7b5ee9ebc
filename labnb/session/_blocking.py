"""Waiting for a coroutine from synchronous code; the only place that nests event loops.

In a script there is no loop yet, and `asyncio.run` is enough. In a notebook the kernel's loop runs already: there
nest-asyncio lets it go on inside of itself. On ipykernel 7 its patch alone loses every cell that is queued meanwhile
("cannot enter context"), since a callback's context may be entered further up the stack: then a copy of it is used.
"""

import asyncio
import contextlib
import sys
from asyncio import events
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from labnb.core import LifecycleError, have_threads

T = TypeVar("T")


def run_blocking(make: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Run the coroutine that `make` returns, and return its result, whether or not this thread runs a loop."""
    loop = asyncio._get_running_loop()  # noqa: SLF001  documented; get_running_loop would be the context of all errors
    if loop is None:
        return asyncio.run(make())
    if not have_threads():
        raise LifecycleError("in a browser nothing can wait while the loop runs; write `await` before it instead")
    _allow_nesting(loop)
    return loop.run_until_complete(make())


async def unbroken(make: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Await the coroutine that `make` returns; being cancelled does not cut it short.

    A loop that ends (asyncio.run after Ctrl-C) cancels all of its tasks, that of the coroutine too: it is made again.
    """
    while True:
        work = asyncio.ensure_future(make())
        while not work.done():
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.shield(work)
        if not work.cancelled():
            return work.result()


def check_loop(what: str) -> None:
    """Raise LifecycleError if no event loop runs in this thread, on which `what` could go on by itself."""
    if asyncio._get_running_loop() is None:  # noqa: SLF001  as above
        raise LifecycleError(
            f"{what} cannot go on by itself where no event loop runs: use run_sync(), which waits for its end, or start it "
            "within asyncio.run"
        )


def _allow_nesting(loop: asyncio.AbstractEventLoop) -> None:
    import nest_asyncio

    run = asyncio.run
    nest_asyncio.apply(loop)
    asyncio.run = run  # its own does not end the tasks that are left, and with them runs, when it is done
    if not getattr(events.Handle, "_labnb_nests", False):
        _guard_contexts()


def _guard_contexts() -> None:
    run = events.Handle._run  # pyright: ignore[reportAttributeAccessIssue]  # noqa: SLF001  there is no public place

    def guarded(handle: Any) -> object:  # Any: asyncio's Handle, with what it does not tell
        if _is_entered(handle._context):  # noqa: SLF001
            handle._context = handle._context.copy()  # noqa: SLF001
        if sys.version_info < (3, 14):
            return run(handle)
        return _with_no_task(handle, run)

    events.Handle._run = guarded  # pyright: ignore[reportAttributeAccessIssue]  # noqa: SLF001
    events.Handle._labnb_nests = True  # pyright: ignore[reportAttributeAccessIssue]  # noqa: SLF001


def _is_entered(context: Any) -> bool:  # Any: a contextvars.Context, or its double
    try:
        context.run(int)
    except RuntimeError:
        return True
    return False


def _with_no_task(handle: Any, run: Callable[[Any], object]) -> object:
    """Run `handle` as if no task were under way: Python 3.14 refuses to enter one task from within another."""
    swap: Any = asyncio.tasks._swap_current_task  # pyright: ignore[reportAttributeAccessIssue]  # noqa: SLF001
    try:
        current = swap(handle._loop, None)  # noqa: SLF001
    except KeyError:
        return run(handle)
    try:
        return run(handle)
    finally:
        if current is not None:
            swap(handle._loop, current)  # noqa: SLF001
