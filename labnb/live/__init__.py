"""What a running measurement looks like, as plain values: no widget, no event loop but for the ticker."""

from labnb.live.cells import Cells, unpack
from labnb.live.choice import FAMILY_MOST, NOTHING, Choice, Kind, Part, Quantity, alternatives, choose
from labnb.live.colours import ColourRange
from labnb.live.curves import Curve, CurveSet
from labnb.live.decimate import Trail, decimate
from labnb.live.extent import Extent
from labnb.live.grid import Frame, Grid, Mesh, Picture, Waterfall, make_picture
from labnb.live.progress import Pace, clock_text, fraction, rate_text
from labnb.live.raster import can_be_logarithmic, coordinates, is_logarithmic, tick_texts
from labnb.live.si import Scaling, scaling, si_text, value_text
from labnb.live.slicing import Slice, setpoint_text
from labnb.live.snapshot import Reading, Snapshot
from labnb.live.table import Table
from labnb.live.ticker import Ticker
from labnb.live.ticks import decades, round_ticks
from labnb.live.view import LiveView

__all__ = [
    "FAMILY_MOST",
    "NOTHING",
    "Cells",
    "Choice",
    "ColourRange",
    "Curve",
    "CurveSet",
    "Extent",
    "Frame",
    "Grid",
    "Kind",
    "LiveView",
    "Mesh",
    "Pace",
    "Part",
    "Picture",
    "Quantity",
    "Reading",
    "Scaling",
    "Slice",
    "Snapshot",
    "Table",
    "Ticker",
    "Trail",
    "Waterfall",
    "alternatives",
    "can_be_logarithmic",
    "choose",
    "clock_text",
    "coordinates",
    "decades",
    "decimate",
    "fraction",
    "is_logarithmic",
    "make_picture",
    "rate_text",
    "round_ticks",
    "scaling",
    "setpoint_text",
    "si_text",
    "tick_texts",
    "unpack",
    "value_text",
]
