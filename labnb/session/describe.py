"""What a job is going to measure, in words, before anything moves."""

from pathlib import Path

from labnb.core import dimensions
from labnb.live import clock_text
from labnb.record import pace_of_latest
from labnb.session.job import Job
from labnb.session.outline import Outline, Section


def describe(job: Job, root: Path) -> str:
    """Return the plan of `job`: dimensions, number of points, variables, axes, instruments, tasks.

    How long it will take is estimated by the latest run of this name below `root`, if there is one.

    ```
    iv: temperature 3 × voltage 81 = 243 points, about 01:12 at the pace of the latest run
      stage (K)       over temperature
      current (A)     over temperature, voltage
    ```
    """
    lines = [f"{job.name}: {_size(job)}{_estimate(job, root)}"]
    lines += [
        f"  {_labelled(record.name, record.unit):24} over {_around(job.outline, section)}"
        for section in job.outline.sections
        for record in section.records
    ]
    for loop in job.outline.loops:
        axis = job.axes.get(loop.key)
        text = "known when it begins" if axis is None else axis.values_text()
        lines.append(f"  {loop.name:24} = {text}")
    if job.instruments:
        lines.append("  instruments: " + ", ".join(instrument.name for instrument in job.instruments))
    if job.tasks:
        lines.append("  beside it: " + ", ".join(task.name for task in job.tasks))
    return "\n".join(lines)


def _estimate(job: Job, root: Path) -> str:
    total, pace_s = job.outline.points(job.axes), pace_of_latest(root, job.name)
    if total is None or pace_s is None:
        return ""
    return f", about {clock_text(total * pace_s)} at the pace of the latest run"


def _size(job: Job) -> str:
    loops = job.outline.chain(job.outline.main.loop) if job.outline.main is not None else ()
    if any(loop.key not in job.axes for loop in loops):
        return "the number of points is known when it begins"
    axes = dimensions(job.axes[loop.key] for loop in loops)
    total = job.outline.points(job.axes)
    if total is None:
        return ", ".join(axis.values_text() for axis in axes if axis.size is None) + ", until it ends"
    points = f"{total} point{'' if total == 1 else 's'}"
    return " × ".join(f"{axis.name} {axis.size}" for axis in axes) + (f" = {points}" if axes else points)


def _labelled(name: str, unit: str) -> str:
    return f"{name} ({unit})" if unit else name


def _around(outline: Outline, section: Section) -> str:
    return ", ".join(loop.name for loop in outline.chain(section.loop)) or "nothing (once)"
