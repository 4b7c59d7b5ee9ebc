"""Pictures of runs on disk: one run, or two and more over each other. They are drawn in a thread, one at a time."""

import threading
from collections.abc import Sequence
from io import BytesIO
from typing import TYPE_CHECKING, Any

import numpy as np

from labnb.core import PlanError
from labnb.notebook.style import series_colour
from labnb.record import StoredRun

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure

_TEXT, _LINE = "#7a7a7a", "#9a9a9a"
_SMALL = 1e-2  # below it, ticks have SI prefixes
one_by_one = threading.Lock()  # matplotlib's font cache is not thread-safe


def picture_of(found: Sequence[StoredRun]) -> bytes:
    """Return a PNG of one run, or of what several have in common, over each other.

    Raises PlanError if there is nothing that could be drawn, or compared.
    """
    with one_by_one:
        from matplotlib.figure import Figure

        figure = Figure(figsize=(8.2, 3.4), dpi=100, layout="constrained")
        axes: Any = figure.subplots()  # matplotlib's stubs leave open what it returns
        if len(found) == 1:
            _draw_one(axes, found[0])
        else:
            _draw_over(axes, found)
        return _png(figure, axes)


def _draw_one(axes: Any, run: StoredRun) -> None:
    if not run.data.data_vars:
        raise PlanError(f"run {run.run_id} has no points yet")
    inner = max((values.dims for values in run.data.data_vars.values()), key=len, default=())
    run.data.isel(dict.fromkeys(inner[:-2], 0)).labnb.plot(ax=axes)
    title = axes.get_title()
    axes.set_title(f"{run.run_id}{', ' + title if title else ''}", loc="left")
    if title:
        axes.set_title("")


def _draw_over(axes: Any, found: Sequence[StoredRun]) -> None:
    name, along = shared_curve([run.data for run in found])
    for place, run in enumerate(found):
        values = run.data[name]
        others = [dim for dim in values.dims if dim != along]
        curves = values.transpose(along, *others).values.reshape(values.sizes[along], -1)
        x = run.data[along].values if along in run.data.coords else np.arange(values.sizes[along])
        for k in range(curves.shape[1]):
            label = f"{run.run_id}" if k == 0 else None
            axes.plot(
                x, curves[:, k], color=series_colour(place), lw=1.4, alpha=1 if others == [] else 0.7, label=label
            )
    axes.set_xlabel(_label(found[0].data, along))
    axes.set_ylabel(_label(found[0].data, name))
    axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0), frameon=False)


def shared_curve(several: "Sequence[xr.Dataset]") -> tuple[str, str]:
    """Return the variable that all have over the same axis, and that axis. Raises PlanError if there is none."""
    for name, values in several[0].data_vars.items():
        if not values.dims or values.dtype.kind not in "fiu":
            continue
        along = str(values.dims[-1])
        if all(
            name in other and along in other[name].dims and _unit(other[name]) == _unit(values) for other in several
        ):
            return str(name), along
    told = "; ".join(
        f"{', '.join(map(str, data.data_vars)) or 'nothing'} over {', '.join(map(str, data.dims))}" for data in several
    )
    raise PlanError(f"these runs have no variable over the same axis in the same unit to compare: {told}")


def _unit(values: "xr.DataArray") -> object:
    return values.attrs.get("units", "")


def _label(data: "xr.Dataset", name: str) -> str:
    unit = _unit(data[name]) if name in data.variables else ""
    return f"{name} ({unit})" if unit and unit != "1" else name


def _png(figure: "Figure", axes: Any) -> bytes:
    """Return it without a background, in greys that are read on light and dark pages alike."""
    from matplotlib.ticker import EngFormatter

    for every in figure.axes:  # the colour bar has its own
        for axis in (every.xaxis, every.yaxis):
            axis.label.set(color=_TEXT, fontsize=9)
            if axis.get_scale() == "linear" and max(map(abs, axis.get_view_interval()), default=1) < _SMALL:
                axis.set_major_formatter(EngFormatter(sep="\u2009"))
        every.tick_params(colors=_TEXT, labelsize=8)
        for spine in every.spines.values():
            spine.set_color(_LINE)
    axes.set_title(axes.get_title(loc="left"), loc="left", color=_TEXT, fontsize=9)
    axes.grid(visible=True, color=_LINE, lw=0.5, alpha=0.5)
    axes.set_axisbelow(True)
    if (legend := axes.get_legend()) is not None:
        for text in (*legend.get_texts(), legend.get_title()):
            text.set(color=_TEXT, fontsize=8)
        legend.get_frame().set_alpha(0)
    buffer = BytesIO()
    figure.savefig(buffer, dpi=200, transparent=True)
    return buffer.getvalue()
