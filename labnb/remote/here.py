"""Which ports this process serves, and on which loop: whoever blocks that loop would wait for himself."""

import asyncio

_served: dict[int, asyncio.AbstractEventLoop] = {}


def served(port: int, loop: asyncio.AbstractEventLoop) -> None:
    """Note that `loop` answers at `port`."""
    _served[port] = loop


def unserved(port: int) -> None:
    """Note that nobody does any more."""
    _served.pop(port, None)


def would_wait_for_itself(port: int) -> bool:
    """Whether this thread runs the loop that answers at `port` of this computer."""
    try:
        return _served.get(port) is asyncio.get_running_loop()
    except RuntimeError:
        return False
