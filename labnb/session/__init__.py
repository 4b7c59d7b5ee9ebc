"""Measurements as people describe them, and the engine that runs them."""

from labnb.session._active import under_way, users_of
from labnb.session._adaptive import check_installed
from labnb.session._channels import Targets, aimed, recordable
from labnb.session._schedule import time_axis
from labnb.session._task import Task, companion_of
from labnb.session._views import forget_view, register_cells, register_view
from labnb.session.bench import Bench
from labnb.session.describe import describe
from labnb.session.job import Job, View
from labnb.session.measurement import Measurement, MeasurementSession, data_root, resume
from labnb.session.outline import Loop, Outline, Record, Section
from labnb.session.reserving import release_own, reserve, resource_of
from labnb.session.run import Run
from labnb.session.standing import StandingTask
from labnb.session.steps import Steps

__all__ = [
    "Bench",
    "Job",
    "Loop",
    "Measurement",
    "MeasurementSession",
    "Outline",
    "Record",
    "Run",
    "Section",
    "StandingTask",
    "Steps",
    "Targets",
    "Task",
    "View",
    "aimed",
    "check_installed",
    "companion_of",
    "data_root",
    "describe",
    "forget_view",
    "recordable",
    "register_cells",
    "register_view",
    "release_own",
    "reserve",
    "resource_of",
    "resume",
    "time_axis",
    "under_way",
    "users_of",
]
