"""Packages that are needed for one thing only, and what to say where they are missing."""

from importlib import import_module
from importlib.util import find_spec
from types import ModuleType

from labnb.core import RecordError


def is_there(*modules: str) -> bool:
    """Whether all of these can be imported."""
    return all(find_spec(module) is not None for module in modules)


def need(module: str, purpose: str, extra: str) -> ModuleType:
    """Return a module that `purpose` needs. Raises RecordError, naming the extra that brings it."""
    try:
        return import_module(module)
    except ImportError as error:
        raise RecordError(
            f"{purpose} needs {module}, which is not installed; run: pip install 'labnb[{extra}]'"
        ) from error
