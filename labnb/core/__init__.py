"""What a measurement is, as values and rules. Standard library only, no event loop, no device."""

from labnb.core.clock import Clock, SystemClock
from labnb.core.errors import (
    CellError,
    CommandError,
    InstrumentError,
    LabnbError,
    LifecycleError,
    LimitError,
    LinkError,
    LinkTimeout,
    PlanError,
    RecordError,
    RunLocked,
    SchemaError,
)
from labnb.core.jsonable import Json, to_jsonable
from labnb.core.lifecycle import Event, State, step
from labnb.core.plan import (
    Axis,
    OpenAxis,
    Plan,
    Setpoint,
    Span,
    Sweep,
    Value,
    check_name,
    check_unit,
    format_value,
    sweep,
)
from labnb.core.schema import ABSENT, Group, Point, Variable, describe_value, infer_variable
from labnb.core.sink import Sink

__all__ = [
    "ABSENT",
    "Axis",
    "CellError",
    "Clock",
    "CommandError",
    "Event",
    "Group",
    "InstrumentError",
    "Json",
    "LabnbError",
    "LifecycleError",
    "LimitError",
    "LinkError",
    "LinkTimeout",
    "OpenAxis",
    "Plan",
    "PlanError",
    "Point",
    "RecordError",
    "RunLocked",
    "SchemaError",
    "Setpoint",
    "Sink",
    "Span",
    "State",
    "Sweep",
    "SystemClock",
    "Value",
    "Variable",
    "check_name",
    "check_unit",
    "describe_value",
    "format_value",
    "infer_variable",
    "step",
    "sweep",
    "to_jsonable",
]
