"""Panels: sweeps, instruments, runs and tasks by clicking. They hold no truth; they show it and post what one wants."""

from labnb.notebook.panels.instrument import InstrumentPanel, panel
from labnb.notebook.panels.reservations import ReservationsPanel, reservations
from labnb.notebook.panels.runs import RunsPanel
from labnb.notebook.panels.sweep import SweepPanel
from labnb.notebook.panels.tasks import TasksPanel, tasks

__all__ = [
    "InstrumentPanel",
    "ReservationsPanel",
    "RunsPanel",
    "SweepPanel",
    "TasksPanel",
    "panel",
    "reservations",
    "tasks",
]
