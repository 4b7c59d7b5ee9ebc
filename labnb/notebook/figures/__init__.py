"""Figures in the notebook: live ones that follow a run, and still ones of runs that ended."""

from labnb.notebook.figures.chart import close_all
from labnb.notebook.figures.figure import LiveFigure, make_figure
from labnb.notebook.figures.lines import Overlays, curve_colour

__all__ = ["LiveFigure", "Overlays", "close_all", "curve_colour", "make_figure"]
