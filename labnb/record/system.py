"""What macOS and Linux do differently where bytes have to reach a disk."""

import errno
import os
from importlib import import_module
from typing import Any


def force(descriptor: int) -> None:
    """Force a file's bytes to the disk: on macOS also out of the disk's own memory, where `fsync` leaves them. Raises OSError."""
    if hasattr(os, "fdatasync"):
        os.fdatasync(descriptor)
        return
    fcntl: Any = import_module("fcntl")
    if hasattr(fcntl, "F_FULLFSYNC"):
        fcntl.fcntl(descriptor, fcntl.F_FULLFSYNC)
    else:
        os.fsync(descriptor)


def reserve(descriptor: int, size: int) -> None:
    """Reserve the space of a file, so that a full disk shows here and not in the middle. Raises OSError.

    macOS and some network file systems cannot; whoever calls writes every byte next anyway.
    """
    if not hasattr(os, "posix_fallocate"):
        return
    try:
        os.posix_fallocate(descriptor, 0, size)
    except OSError as error:
        if error.errno not in (errno.EOPNOTSUPP, errno.EINVAL):
            raise
