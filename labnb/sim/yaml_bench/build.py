"""How a bench file becomes a bench: everything is checked, then everything is made."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, TypeVar, cast, final

from labnb.core import LabnbError, unknown
from labnb.sim.bench import Bench
from labnb.sim.catalogue import find_instrument, find_part
from labnb.sim.circuit import GROUND
from labnb.sim.clock import ClockKind
from labnb.sim.instrument import Instrument
from labnb.sim.parts import Part
from labnb.sim.yaml_bench.arguments import Follow, arguments, first_keywords, is_optional, takes
from labnb.sim.yaml_bench.document import Document, Place
from labnb.sim.yaml_bench.schema import BenchSchema, InstrumentEntry, PartEntry
from labnb.sim.yaml_bench.wiring import Wiring, names_in

T = TypeVar("T")
_ADDRESS = re.compile(
    r"GPIB\d*::\d+(::\d+)?(::INSTR)?|USB\d*::[^:]+::[^:]+::[^:]+(::\d+)?(::INSTR|::RAW)?|ASRL[^:]+(::INSTR)?"
    r"|TCPIP\d*::[^:]+::\d+::SOCKET|TCPIP\d*::[^:]+(::(?!SOCKET)[^:]+)?(::INSTR)?",
    re.IGNORECASE,
)
"""What PyVISA's addresses of message-based instruments look like."""


@final
@dataclass(frozen=True)
class _Model:
    made: type[Instrument]
    address: str
    options: dict[str, object]


@final
@dataclass(frozen=True)
class _Piece:
    made: type[Part]
    values: dict[str, object]


@final
@dataclass(frozen=True, slots=True)
class Built:
    """A bench, and the classes that the words of its file stood for: with others it would be another bench."""

    bench: Bench
    instruments: dict[str, type[Instrument]] = field(default_factory=dict[str, type[Instrument]])
    parts: dict[str, type[Part]] = field(default_factory=dict[str, type[Part]])


def build(
    document: Document, schema: BenchSchema, folder: Path, *, clock: ClockKind | None = None, seed: int | None = None
) -> Built:
    """Return the bench that `document`, read as `schema`, describes. Its own modules may lie in `folder`.

    `clock` and `seed` override what it says. Raises BenchFileError with everything that is wrong, each with its line.
    """
    plan = _Plan(document, schema, folder)
    document.refuse()
    bench = Bench(clock=clock or schema.clock, seed=schema.seed if seed is None else seed)
    plan.make(bench)
    document.refuse()
    return Built(
        bench,
        {_model_word(schema.instruments[name]): model.made for name, model in plan.models.items()},
        {schema.parts[name].part: piece.made for name, piece in plan.pieces.items()},
    )


def _model_word(entry: InstrumentEntry) -> str:
    return entry.model or entry.profile


@final
class _Plan:
    """Everything that is to stand on a bench, checked; the mistakes are noted in the document."""

    def __init__(self, document: Document, schema: BenchSchema, folder: Path) -> None:
        self._document = document
        self._folder = folder
        self.models: dict[str, _Model] = {}
        self.pieces: dict[str, _Piece] = {}
        self._check_names(schema)
        for name, entry in schema.instruments.items():
            if entry.simulated:
                self._add_model(name, entry)
        for name, entry in schema.parts.items():
            self._add_piece(name, entry)
        self._check_addresses()
        self._wiring = self._wire(schema)

    def _check_names(self, schema: BenchSchema) -> None:
        for room, names in (("instruments", schema.instruments), ("parts", schema.parts)):
            for name in names:
                if not name.isidentifier() or name == GROUND:
                    told = f"{name!r} cannot be a name: use letters, digits and '_', not {GROUND}"
                    self._document.mistake((room, name), told)
        for name in set(schema.instruments) & set(schema.parts):
            self._document.mistake(("parts", name), "an instrument has this name already; use another")

    def _found(self, place: Place, find: Callable[[str, Path], T], word: str) -> T | None:
        try:
            return find(word, self._folder)
        except ValueError as error:
            self._document.mistake(place, str(error))
            return None

    def _add_model(self, name: str, entry: InstrumentEntry) -> None:
        place = ("instruments", name)
        word = _model_word(entry)
        if not word:
            self._document.mistake(place, "the key 'model' is missing: which instrument is it? as in keysight/34470A")
            return
        made = self._found((*place, "model" if entry.model else "profile"), find_instrument, word)
        if made is None:
            return
        if not isinstance(made.terminal_names, Mapping):  # pyright: ignore[reportUnnecessaryIsInstance]  own classes
            told = f"{made.__name__}.terminal_names must be a mapping, as in {{'input': ('hi', 'lo')}}"
            self._document.mistake(place, told)
            return
        wired = frozenset({*made.terminal_names, "bench", "name", "address"})
        options = arguments(self._document, (*place, "options"), made, entry.options, wired)
        self.models[name] = _Model(made, entry.address, options)

    def _add_piece(self, name: str, entry: PartEntry) -> None:
        place = ("parts", name)
        made = self._found((*place, "part"), find_part, entry.part)
        if made is None:
            return
        values = arguments(
            self._document, place, made, entry.model_extra or {}, first_keywords(made, len(made.terminal_names))
        )
        self.pieces[name] = _Piece(made, values)

    def _check_addresses(self) -> None:
        taken: dict[str, str] = {}
        for name, model in self.models.items():
            place = ("instruments", name, "address")
            if not _ADDRESS.fullmatch(model.address):
                told = f"{model.address!r} is no VISA address; write for example GPIB0::7::INSTR or TCPIP0::192.0.2.7::INSTR"
                self._document.mistake(place, told)
                continue
            other = taken.setdefault(_canonical(model.address), name)
            if other != name:
                line = self._document.line(("instruments", other, "address"))
                self._document.mistake(place, f"{model.address} is where {other} is (line {line})")

    def _wire(self, schema: BenchSchema) -> Wiring:
        things = {name: list(names_in(tuple(m.made.terminal_names.values()))) for name, m in self.models.items()}
        parts = {name: piece.made.terminal_names for name, piece in self.pieces.items()}
        absent = self._absent(schema)
        wiring = Wiring(self._document, {**things, **parts}, absent)
        for index, wire in enumerate(schema.wiring):
            wiring.join(wire, ("wiring", index))
        for name, piece in self.pieces.items():
            self._check_piece(name, piece, wiring, absent)
        return wiring

    def _absent(self, schema: BenchSchema) -> dict[str, str]:
        """Return what cannot be wired, and why; "" for what is wrong in itself, which was told."""
        real = {name for name, entry in schema.instruments.items() if not entry.simulated}
        wrong = {*schema.instruments, *schema.parts} - {*self.models, *self.pieces} - real
        told = "is real (simulate: false): nothing simulated can be wired to it"
        return {**{name: f"{name} {told}" for name in real}, **dict.fromkeys(wrong, "")}

    def _check_piece(self, name: str, piece: _Piece, wiring: Wiring, absent: Mapping[str, str]) -> None:
        loose = [
            t for t in piece.made.terminal_names if wiring.node(name, t) != GROUND and not wiring.is_wired(name, t)
        ]
        if loose:
            told = f"not wired: {', '.join(f'{name}.{each}' for each in loose)}; add '- {{from: {name}.{loose[0]}, to: ...}}'"
            self._document.mistake(("parts", name), f"{told} to wiring")
        for key, value in piece.values.items():
            if isinstance(value, Follow):
                self._check_follow(("parts", name, key), value, absent)

    def _check_follow(self, place: Place, follow: Follow, absent: Mapping[str, str]) -> None:
        name, _, what = follow.text.partition(".")
        if absent.get(name) == "":
            return
        model = self.models.get(name)
        givers = [each for each, known in self.models.items() if known.made.influences]
        if model is None or not model.made.influences:
            told = f"{unknown(name, givers, 'instrument to follow')}; or a number"
            self._document.mistake(place, told)
        elif what and what not in model.made.influences:
            self._document.mistake(place, f"{name}: {unknown(what, model.made.influences, 'influence')}")

    # --- making ---

    def make(self, bench: Bench) -> None:
        """Put everything on `bench`."""
        for name, model in self.models.items():
            nodes = {
                key: self._wiring.nodes(name, each)
                for key, each in model.made.terminal_names.items()
                if not is_optional(model.made, key) or any(self._wiring.is_wired(name, one) for one in names_in(each))
            }
            options = _with_seed(model.made, model.options, bench)
            self._made(
                ("instruments", name), partial(_anything(model.made), bench, name, model.address, **nodes, **options)
            )
        for name, piece in self.pieces.items():
            if self._document.mistakes:
                return
            nodes = [self._wiring.node(name, terminal) for terminal in piece.made.terminal_names]
            values = {key: _influence(value, bench) for key, value in piece.values.items()}
            values = _with_seed(piece.made, values, bench)
            part = self._made(("parts", name), partial(_anything(piece.made), *nodes, **values))
            if isinstance(part, Part):
                bench.parts[name] = part
                bench.circuit.add(part)

    def _made(self, place: Place, make: Callable[[], object]) -> object:
        try:
            return make()
        except (LabnbError, ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
            self._document.mistake(place, f"it cannot be made: {error}")
            return None


def _anything(made: type) -> Callable[..., Any]:  # Any: what a constructor takes was checked against its signature
    return made


def _with_seed(made: type, values: Mapping[str, object], bench: Bench) -> dict[str, object]:
    """Give the bench's seed to whatever has one and is given none."""
    return {"seed": bench.seed, **values} if takes(made, "seed") else dict(values)


def _influence(value: object, bench: Bench) -> object:
    if not isinstance(value, Follow):
        return value
    name, _, what = value.text.partition(".")
    instrument = bench[name]
    return cast(object, getattr(instrument, what or instrument.influences[0]))


def _canonical(address: str) -> str:
    """Return how PyVISA would write `address`, near enough to tell whether two are the same."""
    head, *rest = address.upper().split("::")
    if rest[-1:] not in (["INSTR"], ["SOCKET"], ["RAW"]):
        rest = [*rest, "INSTR"]
    if head.startswith("TCPIP") and rest[1:] == ["INSTR"]:
        rest = [rest[0], "INST0", "INSTR"]
    return "::".join((head if head[-1].isdigit() else f"{head}0", *rest))
