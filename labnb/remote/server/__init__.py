"""Shows a session to browsers, remote observers and xarray, over HTTP on the session's own loop; nothing can be set."""

from importlib.util import find_spec

from labnb.core import RemoteError

if find_spec("aiohttp") is None:
    raise RemoteError(
        "the server of a session needs aiohttp, which is not installed; run: pip install 'labnb[monitor]'"
    )

from labnb.remote.server.server import MonitorServer

__all__ = ["MonitorServer"]
