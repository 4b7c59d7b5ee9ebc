"""The packages that sharing needs, and what to say where they are missing."""

from importlib import import_module
from types import ModuleType

from labnb.core import ReservationError


def need(module: str, purpose: str) -> ModuleType:
    """Return a module that `purpose` needs. Raises ReservationError, naming the extra that brings it."""
    try:
        return import_module(module)
    except ImportError as error:
        package = module.partition(".")[0]
        raise ReservationError(
            f"{purpose} needs {package}, which is not installed; run: pip install 'labnb[sharing]'"
        ) from error
