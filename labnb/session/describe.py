"""What a job is going to measure, in words, before anything moves."""

from labnb.core import dimensions
from labnb.session.job import Job
from labnb.session.outline import Outline, Section


def describe(job: Job) -> str:
    """Return the plan of `job`: dimensions, variables, number of points, instruments, tasks.

    ```
    iv: temperature 3 × voltage 81 = 243 points
      stage (K)       over temperature
      current (A)     over temperature, voltage
    ```
    """
    lines = [f"{job.name}: {_size(job)}"]
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


def _size(job: Job) -> str:
    loops = job.outline.chain(job.outline.main.loop) if job.outline.main is not None else ()
    if any(loop.key not in job.axes for loop in loops):
        return "the number of points is known when it begins"
    axes = dimensions(job.axes[loop.key] for loop in loops)
    total = 1
    for axis in axes:
        if axis.size is None:
            return f"{axis.name}, until it is stopped"
        total *= axis.size
    points = f"{total} point{'' if total == 1 else 's'}"
    return " × ".join(f"{axis.name} {axis.size}" for axis in axes) + (f" = {points}" if axes else points)


def _labelled(name: str, unit: str) -> str:
    return f"{name} ({unit})" if unit else name


def _around(outline: Outline, section: Section) -> str:
    return ", ".join(loop.name for loop in outline.chain(section.loop)) or "nothing (once)"
