"""What may stand in a bench file, as far as its simulation is concerned.

A room above adds what it knows by subclassing: `class Entry(InstrumentEntry)`, `class File(BenchSchema)`.
What belongs to a session (experiment, automation, traceability, a driver, limits) is let through unread.
"""

from typing import Annotated, TypeVar, cast

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from pydantic_core import ErrorDetails

from labnb.core import unknown
from labnb.sim.clock import ClockKind
from labnb.sim.yaml_bench.document import Document, Place

S = TypeVar("S", bound="Strict")


class Strict(BaseModel):
    """Values of just the right types, and no other keys."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, protected_namespaces=())


def _listed(value: object) -> object:
    return [value] if isinstance(value, str) else value


def _entries(value: object) -> object:
    return {} if value is None else value


def _items(value: object) -> object:
    return [] if value is None else value


class Wire(Strict):
    """`{from: psu.1, to: dut.anode}`, or to several: `to: [dut.anode, dmm.hi]`."""

    start: str = Field(alias="from")
    ends: Annotated[list[str], BeforeValidator(_listed)] = Field(alias="to", min_length=1)


class InstrumentEntry(Strict):
    """One instrument. `model` is what stands on the simulated bench, if that is another than the `profile`."""

    model: str = ""
    profile: str = ""
    address: str
    options: dict[str, object] = Field(default_factory=dict[str, object])
    simulate: bool | None = None
    driver: object = None
    safety_limits: object = None
    leave_on: object = None

    @property
    def simulated(self) -> bool:
        """It is on the simulated bench, unless it says of itself that it is real."""
        return self.simulate is not False


class PartEntry(BaseModel):
    """One part; the keys beside `part` are those of the constructor of its class."""

    model_config = ConfigDict(extra="allow", strict=True, frozen=True)

    part: str


class BenchSchema(Strict):
    """A bench file. Whoever opens it as a simulated bench gets it simulated, whatever its own `simulate` says."""

    bench_name: str = ""
    simulate: bool = True
    clock: ClockKind = "real"
    seed: int = 0
    instruments: dict[str, InstrumentEntry]
    parts: Annotated[dict[str, PartEntry], BeforeValidator(_entries)] = Field(default_factory=dict[str, PartEntry])
    wiring: Annotated[list[Wire], BeforeValidator(_items)] = Field(default_factory=list[Wire])
    reserve: object = None
    experiment: object = None
    automation: object = None
    traceability: object = None


def check(document: Document, schema: type[S], value: object, place: Place = ()) -> S | None:
    """Return `value`, which stands at `place`, as a `schema`; note what is wrong with it and return None."""
    try:
        return schema.model_validate(value)
    except ValidationError as error:
        for each in error.errors(include_url=False):
            below = tuple(step for step in each["loc"] if step != "[key]")
            document.mistake((*place, *below), _told(each, schema))
        return None


def validate(document: Document, schema: type[S]) -> S:
    """Return the whole of `document` as a `schema`. Raises BenchFileError with all that is wrong, each with its line."""
    found = check(document, schema, document.value)
    document.refuse()
    return cast(S, found)  # without a mistake there is one


def _told(error: ErrorDetails, schema: type[BaseModel]) -> str:
    kind, loc, given = error["type"], error["loc"], error["input"]
    if kind == "extra_forbidden":
        return unknown(loc[-1], _keys_at(schema, loc[:-1]), "key")
    if kind == "missing":
        return f"the key {str(loc[-1])!r} is missing"
    if kind == "value_error":
        return str(error.get("ctx", {}).get("error"))
    if kind == "literal_error":
        return f"expected {error.get('ctx', {}).get('expected')}, got {given!r}"
    if kind == "too_short":
        return "expected at least one"
    return f"expected {_EXPECTED.get(kind) or error['msg']}, got {_shown(given)}"


_EXPECTED = {
    "string_type": "a text",
    "int_type": "a whole number",
    "float_type": "a number",
    "bool_type": "true or false",
    "dict_type": "keys with values (KEY: VALUE)",
    "model_type": "keys with values (KEY: VALUE)",
    "list_type": "a list (each with '- ' before it, or in [brackets])",
}


def _shown(given: object) -> str:
    if given is None:
        return "nothing"
    if isinstance(given, dict | list):
        return "a list" if isinstance(given, list) else "keys with values"
    return repr(given)


def _keys_at(schema: type[BaseModel], loc: Place) -> list[str]:
    """Return the keys that may stand at `loc` of a document that follows `schema`."""
    for step in loc:
        fields = {field.alias or name: field for name, field in schema.model_fields.items()}
        if step in fields:
            schema = _inner(fields[step].annotation) or schema
    return [field.alias or name for name, field in schema.model_fields.items()]


def _inner(annotation: object) -> type[BaseModel] | None:
    """Return the schema that an annotation is, or that its lists and mappings are of."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for each in getattr(annotation, "__args__", ()) if (found := _inner(each))), None)
