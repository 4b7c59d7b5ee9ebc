"""What a running measurement looks like, as plain values: no widget, no event loop but for the ticker."""

from labnb.live.choice import FAMILY_MOST, NOTHING, Choice, Kind, Part, Quantity, choose
from labnb.live.curves import Curve, CurveSet, coordinates, tick_texts
from labnb.live.decimate import Trail, decimate
from labnb.live.extent import Extent
from labnb.live.grid import ColourRange, Grid
from labnb.live.progress import Pace, clock_text, fraction, rate_text
from labnb.live.si import Scaling, scaling, si_text, value_text
from labnb.live.snapshot import Reading, Snapshot
from labnb.live.table import Table
from labnb.live.ticker import Ticker
from labnb.live.view import LiveView

__all__ = [
    "FAMILY_MOST",
    "NOTHING",
    "Choice",
    "ColourRange",
    "Curve",
    "CurveSet",
    "Extent",
    "Grid",
    "Kind",
    "LiveView",
    "Pace",
    "Part",
    "Quantity",
    "Reading",
    "Scaling",
    "Snapshot",
    "Table",
    "Ticker",
    "Trail",
    "choose",
    "clock_text",
    "coordinates",
    "decimate",
    "fraction",
    "rate_text",
    "scaling",
    "si_text",
    "tick_texts",
    "value_text",
]
