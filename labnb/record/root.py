"""Where runs are kept, and where what is known about them may be cached."""

import os
import sys
from pathlib import Path


def data_root(store: str | os.PathLike[str] | None = None) -> Path:
    """Return where runs are kept: `store`, else the environment's LABNB_DATA, else ./labnb-data."""
    return Path(store or os.environ.get("LABNB_DATA") or "labnb-data").absolute()


def cache_folder() -> Path:
    """Return this user's folder for what can be made again: LABNB_CACHE, else where the system keeps caches."""
    given = os.environ.get("LABNB_CACHE")
    if given:
        return Path(given).absolute()
    if sys.platform == "darwin":
        return Path("~/Library/Caches/labnb").expanduser()
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or "~/AppData/Local").expanduser() / "labnb" / "cache"
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "labnb"
