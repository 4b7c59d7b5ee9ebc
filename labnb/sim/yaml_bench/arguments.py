"""Which values may a bench file give to the constructor of an instrument or a part? Its signature says it.

    def __init__(self, first, second, *, ohms: float, light: float | Callable[[float], float] = 1.0): ...

`ohms: 4.7 kohm` has its unit from the keyword's name; `light: lamp` lets the value follow an instrument.
"""

import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Annotated, cast, final

from pydantic import BeforeValidator, ConfigDict, Field, create_model

from labnb.sim.quantity import parse_quantity, unit_of
from labnb.sim.yaml_bench.document import Document, Place
from labnb.sim.yaml_bench.schema import Strict, check


class _Open(Strict):
    """For a constructor that takes any keyword."""

    model_config = ConfigDict(extra="allow")


@final
@dataclass(frozen=True, slots=True)
class Follow:
    """A value that is an instrument's: `oven`, or one of several that it influences parts with, `oven.temperature`."""

    text: str


def arguments(
    document: Document, place: Place, made: type, given: Mapping[str, object], wired: frozenset[str]
) -> dict[str, object]:
    """Return the keyword arguments for `made` that `given` says; note in `document` what is wrong with them.

    Keywords that are `wired` are not for the file to give. A number that follows an instrument is a `Follow`.
    """
    found = check(document, _schema(made, wired), dict(given), place)
    if found is None:
        return {}
    named = {field.alias or name: name for name, field in type(found).model_fields.items()}
    values = {key: getattr(found, name) for key, name in named.items() if name in found.model_fields_set}
    return {**values, **(found.model_extra or {})}


def takes(made: type, keyword: str) -> bool:
    """Return whether the constructor of `made` has `keyword`."""
    return keyword in inspect.signature(made).parameters


def is_optional(made: type, keyword: str) -> bool:
    """Return whether the constructor of `made` takes None instead of `keyword`, as for terminals that few use."""
    known = inspect.signature(made).parameters.get(keyword)
    return known is not None and known.default is None


def first_keywords(made: type, count: int) -> frozenset[str]:
    """Return the names of the first `count` parameters of the constructor of `made`."""
    return frozenset(list(inspect.signature(made).parameters)[:count])


@lru_cache(maxsize=256)
def _schema(made: type, wired: frozenset[str]) -> type[Strict]:
    parameters = inspect.signature(made).parameters.values()
    fields = {
        f"value_{each.name}": (_type(each), Field(... if each.default is each.empty else each.default, alias=each.name))
        for each in parameters
        if each.kind in (each.KEYWORD_ONLY, each.POSITIONAL_OR_KEYWORD) and each.name not in wired
    }
    base = _Open if any(each.kind is each.VAR_KEYWORD for each in parameters) else Strict
    # a field's definition is a tuple of any two things to pydantic
    return cast("type[Strict]", create_model(made.__name__, __base__=base, **fields))  # pyright: ignore[reportCallIssue, reportArgumentType]


def _type(parameter: inspect.Parameter) -> object:
    """Return what pydantic is to accept; an annotation is read as text, as its names may exist for type checkers only."""
    annotation = parameter.annotation
    told = annotation if isinstance(annotation, str) else inspect.formatannotation(annotation)
    unit = unit_of(parameter.name)
    quantity = Annotated[float, BeforeValidator(partial(parse_quantity, unit=unit))]
    if told.startswith("float") and "Callable" in told:
        return Annotated[object, BeforeValidator(partial(_followed, unit=unit))]
    plain = {"int": int, "bool": bool, "str": str, "float": quantity}
    if told in plain:
        return plain[told]
    if told == "tuple[float, float]":
        return Annotated[tuple[quantity, quantity], BeforeValidator(_tuple)]
    return object


def _tuple(value: object) -> object:
    return tuple(cast("list[object]", value)) if isinstance(value, list) else value


def _followed(value: object, unit: str) -> object:
    if isinstance(value, str) and value[:1].isalpha():
        return Follow(value)
    try:
        return parse_quantity(value, unit)
    except ValueError as error:
        raise ValueError(f"{error}, or the name of the instrument that it follows") from None
