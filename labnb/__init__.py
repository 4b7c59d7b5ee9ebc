"""Turns a Jupyter notebook into a lab bench.

`%load_ext labnb`, then `%%measure` on top of the loop that you write anyway. Names are loaded when they are used.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

    from labnb.core import sweep
    from labnb.instruments import Instrument, Meta, Parameter, channel, connect
    from labnb.instruments import demo as demo_bench
    from labnb.notebook.panels import RunsPanel, SweepPanel, panel, reservations, tasks
    from labnb.record import export, load, ragged, runs
    from labnb.remote import AsyncSession, RemoteObserver
    from labnb.session import Bench, Measurement, reserve, resume

__version__ = "0.1.0"

_PLACES = {
    "AsyncSession": ("labnb.remote", "AsyncSession"),
    "Bench": ("labnb.session", "Bench"),
    "Instrument": ("labnb.instruments", "Instrument"),
    "Measurement": ("labnb.session", "Measurement"),
    "Meta": ("labnb.instruments", "Meta"),
    "Parameter": ("labnb.instruments", "Parameter"),
    "RemoteObserver": ("labnb.remote", "RemoteObserver"),
    "RunsPanel": ("labnb.notebook.panels", "RunsPanel"),
    "SweepPanel": ("labnb.notebook.panels", "SweepPanel"),
    "channel": ("labnb.instruments", "channel"),
    "connect": ("labnb.instruments", "connect"),
    "demo_bench": ("labnb.instruments", "demo"),
    "export": ("labnb.record", "export"),
    "load": ("labnb.record", "load"),
    "panel": ("labnb.notebook.panels", "panel"),
    "ragged": ("labnb.record", "ragged"),
    "reservations": ("labnb.notebook.panels", "reservations"),
    "reserve": ("labnb.session", "reserve"),
    "resume": ("labnb.session", "resume"),
    "runs": ("labnb.record", "runs"),
    "sweep": ("labnb.core", "sweep"),
    "tasks": ("labnb.notebook.panels", "tasks"),
}

__all__ = [
    "AsyncSession",
    "Bench",
    "Instrument",
    "Measurement",
    "Meta",
    "Parameter",
    "RemoteObserver",
    "RunsPanel",
    "SweepPanel",
    "channel",
    "connect",
    "demo_bench",
    "export",
    "load",
    "panel",
    "ragged",
    "reservations",
    "reserve",
    "resume",
    "runs",
    "sweep",
    "tasks",
]


def __getattr__(name: str) -> object:
    if name not in _PLACES:
        raise AttributeError(f"module 'labnb' has no attribute {name!r}")
    from importlib import import_module

    module, attribute = _PLACES[name]
    value = getattr(import_module(module), attribute)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *_PLACES])


def load_ipython_extension(shell: "InteractiveShell") -> None:
    """Give `%%measure` and `sweep` to a notebook: `%load_ext labnb`."""
    from labnb.notebook.magics import load_ipython_extension as load_it

    load_it(shell)


def unload_ipython_extension(shell: "InteractiveShell") -> None:
    """Take them away again."""
    from labnb.notebook.magics import unload_ipython_extension as unload_it

    unload_it(shell)
