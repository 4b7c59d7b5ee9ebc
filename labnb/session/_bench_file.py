"""What a bench file says beyond its simulation, checked with the line of each mistake. Needs pydantic: imported when used."""

# The base lets through unread what is narrower here; all schemas are frozen, so that narrowing is safe.
# pyright: reportIncompatibleVariableOverride=false

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Self, final

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from labnb.core import BenchFileError, unknown
from labnb.sim.yaml_bench import BenchSchema, Document, InstrumentEntry, Place, Strict, read_document, validate


class Range(Strict):
    """`{min: 0, max: 3.3}`, or one of them."""

    min: float | None = None
    max: float | None = None

    @model_validator(mode="after")
    def _bounds_something(self) -> Self:
        low = -math.inf if self.min is None else self.min
        high = math.inf if self.max is None else self.max
        if self.min is None and self.max is None:
            raise ValueError("expected min, max, or both")
        if not low <= high:
            raise ValueError(f"min {low:g} is larger than max {high:g}")
        return self

    def limit(self) -> tuple[float | None, float | None]:
        """Return it as instruments take limits."""
        return self.min, self.max


class Limits(BaseModel):
    """`{channels: {1: {voltage: {max: 3.3}}}}` for what has channels, `{setpoint: {max: 320}}` for what has none."""

    model_config = ConfigDict(extra="allow", strict=True, frozen=True)
    __pydantic_extra__: dict[str, Range] = Field(init=False)

    channels: dict[int, dict[str, Range]] = Field(default_factory=dict[int, dict[str, Range]])

    def limits(self) -> dict[object, object]:
        """Return them as `connect` takes limits."""
        by_channel: dict[object, object] = {
            number: {quantity: bounds.limit() for quantity, bounds in quantities.items()}
            for number, quantities in self.channels.items()
        }
        return by_channel | {name: bounds.limit() for name, bounds in self.__pydantic_extra__.items()}


class Entry(InstrumentEntry):
    """One instrument, with what a session wants to know of it."""

    driver: str | None = None
    safety_limits: Limits | None = None
    leave_on: bool = False


class Experiment(Strict):
    """What is being done, and by whom."""

    title: str = ""
    operator: str = ""
    sample: str = ""
    notes: str = ""


class Traceability(Strict):
    """What was measured, where, and with what calibration: kept with the data as it stands."""

    dut: dict[str, object] = Field(default_factory=dict[str, object])
    environment: dict[str, object] = Field(default_factory=dict[str, object])
    calibration: dict[str, object] = Field(default_factory=dict[str, object])


def _as_texts(value: object) -> object:
    """Return `- psu: output all off`, which YAML takes for a mapping, as the text that is meant."""
    if not isinstance(value, list):
        return value
    return [
        f"{next(iter(each))}: {next(iter(each.values()))}" if isinstance(each, dict) and len(each) == 1 else each
        for each in value
    ]


Commands = Annotated[list[str], BeforeValidator(_as_texts)]


class Automation(Strict):
    """Commands before and after everything that is done on the bench."""

    pre_experiment: Commands = Field(default_factory=list[str])
    post_experiment: Commands = Field(default_factory=list[str])


class BenchFile(BenchSchema):
    """A whole bench file. Its fields are narrower than the base's, which lets them through unread; both are frozen."""

    instruments: dict[str, Entry]
    reserve: bool | Annotated[float, Field(ge=0)] = False
    experiment: Experiment = Field(default_factory=Experiment)
    automation: Automation = Field(default_factory=Automation)
    traceability: Traceability = Field(default_factory=Traceability)


@final
@dataclass(frozen=True, slots=True)
class Command:
    """One line of automation: what is done with the instrument `alias`."""

    alias: str
    verb: str
    channels: tuple[int, ...] = ()
    text: str = ""

    def __str__(self) -> str:
        what = {"write": f"write {self.text}"}.get(self.verb, self.verb)
        return f"{self.alias}: {what}{' ' + ', '.join(map(str, self.channels)) if self.channels else ''}"


_FORMS = "'output all off', 'output 1 off', 'output 1,2 on', 'reset' or 'write SCPI TEXT'"
_OUTPUT = re.compile(r"output\s+(all|\d+(?:\s*,\s*\d+)*)\s+(on|off)", re.IGNORECASE)


def parse_command(text: str, aliases: Mapping[str, object]) -> Command:
    """Return what `text`, such as `psu: output all off`, asks for. Raises ValueError if it cannot be understood.

    Nothing is evaluated: there are these few forms and no others.
    """
    alias, colon, rest = (part.strip() for part in text.partition(":"))
    if not colon:
        raise ValueError(f"{text!r}: expected 'INSTRUMENT: COMMAND', such as 'psu: output all off'")
    if alias not in aliases:
        raise ValueError(unknown(alias, list(aliases), "instrument"))
    if rest.lower() == "reset":
        return Command(alias, "reset")
    word, _, argument = rest.partition(" ")
    if word.lower() == "write" and argument.strip():
        return Command(alias, "write", text=argument.strip())
    match = _OUTPUT.fullmatch(rest)
    if match is None:
        raise ValueError(f"{rest!r} is no command: expected {_FORMS}")
    if match[1].lower() != "all":
        return Command(alias, match[2].lower(), tuple(int(number) for number in match[1].split(",")))
    if match[2].lower() == "on":
        raise ValueError("'output all on' is not done: say which, 'output 1 on'")
    return Command(alias, "off")


@final
@dataclass(frozen=True, slots=True)
class Described:
    """A bench file that has been read and found right."""

    path: Path
    document: Document
    file: BenchFile
    before: tuple[Command, ...]
    after: tuple[Command, ...]

    def refuse(self, place: Place, text: str) -> None:
        """Raise BenchFileError for what turned out to be wrong at `place` later."""
        self.document.mistake(place, text)
        self.document.refuse()


def read_bench(path: Path) -> Described:
    """Return what the file at `path` says. Raises BenchFileError with all that is wrong, each with its line."""
    document = read_document(path)
    file = validate(document, BenchFile)
    before = _commands(document, file, "pre_experiment", file.automation.pre_experiment)
    after = _commands(document, file, "post_experiment", file.automation.post_experiment)
    _check_instruments(document, file)
    document.refuse()
    return Described(path, document, file, before, after)


def _commands(document: Document, file: BenchFile, key: str, texts: list[str]) -> tuple[Command, ...]:
    found = list[Command]()
    for number, text in enumerate(texts):
        try:
            found.append(parse_command(text, file.instruments))
        except ValueError as error:
            document.mistake(("automation", key, number), str(error))
    return tuple(found)


def _check_instruments(document: Document, file: BenchFile) -> None:
    for alias, entry in file.instruments.items():
        place = ("instruments", alias)
        if not alias.isidentifier() or alias in ("ctx", "stop"):
            document.mistake(place, "it cannot be an argument's name; use letters, digits and '_', not ctx or stop")
        if entry.driver is not None and not re.fullmatch(r"[\w.]+:\w+", entry.driver):
            document.mistake((*place, "driver"), f"{entry.driver!r}: expected 'package.module:Class'")


__all__ = ["BenchFile", "BenchFileError", "Command", "Described", "Entry", "parse_command", "read_bench"]
