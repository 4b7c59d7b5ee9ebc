"""Work that would block the loop, done in a thread where there are threads."""

import asyncio
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from labnb.core import have_threads

P = ParamSpec("P")
T = TypeVar("T")


async def beside(work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Return what `work` returns: done in a thread beside the loop, or at once where there are no threads (a browser)."""
    if have_threads():
        return await asyncio.to_thread(work, *args, **kwargs)
    return work(*args, **kwargs)
