"""What an instrument holds: its quantities by name, and the limits that keep every way to them safe."""

import inspect
import keyword
import math
import warnings
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar, cast, overload

from labnb.core import InstrumentError, LimitError
from labnb.instruments.action import Action
from labnb.instruments.guard import Setting, restores, selected_by
from labnb.instruments.lane import Lane
from labnb.instruments.limits import Bounds, unknown
from labnb.instruments.message import Unit, number_of, units_of
from labnb.instruments.parameter import Getter, Parameter, Setter
from labnb.instruments.quantity import Quantity
from labnb.instruments.ramp import Interlock, Pace
from labnb.instruments.validators import Bool, Validator

T = TypeVar("T")

_SWITCH = Bool()


class Holding:
    """The part of an instrument that knows its quantities. `Instrument` adds the conversation."""

    settings: ClassVar[tuple[Setting, ...]] = ()
    """Commands beyond the declared parameters' own in which limits have to be recognised."""

    name: str
    lane: Lane

    def __init__(self) -> None:
        self.known: dict[str, tuple[Any, str]] = {}  # last set or read: name -> (value, unit); Any: the quantity's type
        self.safety: dict[str, Bounds] = {}  # limits that people have set, on top of the instrument's ranges
        self.interlocks: dict[str, list[Interlock]] = {}
        self.paces: dict[str, Pace] = {
            name: declared.pace for name, declared in declared_in(type(self)).items() if declared.pace
        }
        self.turns: dict[str, object] = {}  # which ramp of a quantity is the one that goes on
        self._added: dict[str, Parameter[Any]] = {}
        self._own: dict[str, object] = {}  # what a driver itself keeps under the name of an added parameter
        self._running: list[str] = []
        self._late_limits: dict[str, object] = {}
        self._recognised: tuple[Setting, ...] | None = None

    # ---- quantities

    @property
    def parameters(self) -> Mapping[str, Quantity[Any]]:
        """The quantities and switches by name, in the order of their declaration."""
        names = (*declared_in(type(self)), *self._added)
        return MappingProxyType({name: cast(Quantity[Any], getattr(self, name)) for name in names})

    @overload
    def add_parameter(
        self,
        name: str,
        get_cmd: Getter | None = None,
        set_cmd: Setter | None = None,
        *,
        vals: Validator[T],
        unit: str = "",
        scale: float = 1.0,
        max_step: float | None = None,
        max_rate: float | None = None,
        get_parser: Callable[[Any], object] | None = None,
        docstring: str = "",
    ) -> Quantity[T]: ...
    @overload
    def add_parameter(
        self,
        name: str,
        get_cmd: Getter | None = None,
        set_cmd: Setter | None = None,
        *,
        vals: None = None,
        unit: str = "",
        scale: float = 1.0,
        max_step: float | None = None,
        max_rate: float | None = None,
        get_parser: Callable[[Any], object] | None = None,
        docstring: str = "",
    ) -> Quantity[Any]: ...
    def add_parameter(
        self,
        name: str,
        get_cmd: Getter | None = None,
        set_cmd: Setter | None = None,
        *,
        vals: Validator[Any] | None = None,
        unit: str = "",
        scale: float = 1.0,
        max_step: float | None = None,
        max_rate: float | None = None,
        get_parser: Callable[[Any], object] | None = None,
        docstring: str = "",
    ) -> Quantity[Any]:
        """Add a quantity to this one instrument, as in QCoDeS; return it. It is `instrument.name` from now on.

        `get_cmd` and `set_cmd` are functions, or commands as in `Parameter`; without both it only keeps what it is set
        to. What the driver itself keeps under the same name (`self.x = 0`) stays its own: in the two functions,
        `self.x` is that. Raises InstrumentError if the name is taken or no name.
        """
        self._check_free(name)
        if get_cmd is None and set_cmd is None:
            get_cmd, set_cmd = self._keeper(name)
        declared = cast(Any, Parameter)(  # Any: overloads cannot be passed through
            set_cmd, get_cmd, vals=vals, unit=unit, scale=scale, max_step=max_step, max_rate=max_rate,
            parse=get_parser, doc=docstring,
        )  # fmt: skip
        declared.name = name
        if name in vars(self):
            self._own[name] = vars(self).pop(name)
        self._added[name] = declared
        self._recognised = None
        quantity = cast(Quantity[Any], getattr(self, name))
        if name in self._late_limits:
            self._limit(quantity, self._late_limits.pop(name))
        return quantity

    def _check_free(self, name: str) -> None:
        if not name.isidentifier() or keyword.iskeyword(name) or name.startswith("_"):
            raise InstrumentError(f"{self.name}: a parameter needs a name that Python can write, got {name!r}")
        taken = ""
        if name in self._added or name in declared_in(type(self)):
            taken = "a parameter"
        elif hasattr(type(self), name) or name in self._fixed_names():
            taken = "a part of the instrument"
        elif callable(own := vars(self).get(name)) or isinstance(own, Holding):
            taken = "an attribute"
        if taken:
            raise InstrumentError(
                f"{self.name}.{name} exists already ({taken}); add the parameter under another name, such as {name}_2"
            )

    def _fixed_names(self) -> frozenset[str]:
        """Return the names of the instrument's own attributes; only what a driver adds to them may be taken over."""
        return cast(frozenset[str], vars(self).get("_fixed", frozenset(vars(self))))

    def _keeper(self, name: str) -> tuple[Callable[[], object], Callable[[object], None]]:
        def kept() -> object:
            if name not in self._own:
                raise InstrumentError(f"{self.name}.{name} has no value yet; set it first")
            return self._own[name]

        def keep(value: object) -> None:
            self._own[name] = value

        return kept, keep

    def run_own(self, name: str, function: Callable[..., object], *args: object) -> object:
        """Call the function behind the quantity `name`, in the lane; what it returns may be an action."""
        self._running.append(name)
        try:
            result = function(*args)
        finally:
            self._running.pop()
        if inspect.iscoroutine(result):
            result.close()
            raise InstrumentError(f"{self.name}.{name}: its function returned a coroutine; use a plain function")
        return cast(Action[object], result).result() if isinstance(result, Action) else result

    if not TYPE_CHECKING:  # a checker shall find typing errors; parameters that were added are known at run time only

        def __getattr__(self, name: str) -> object:
            declared = self.__dict__.get("_added", {}).get(name)
            if declared is None:
                raise AttributeError(f"{type(self).__name__} has no {name!r}", name=name, obj=self)
            if self._is_own(name) and name in self._own:
                return self._own[name]
            return self.bound(name, lambda: declared.of(self))

        def __setattr__(self, name: str, value: object) -> None:
            if name not in self.__dict__.get("_added", ()):
                object.__setattr__(self, name, value)
            elif self._is_own(name):
                self._own[name] = value
            else:
                raise AttributeError(f"use {self.name}.{name}.set({value!r}); assigning would not wait or check")

    def _is_own(self, name: str) -> bool:
        return name in self._running and self.lane.inside

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *self._added})

    # ---- limits

    def set_limits(self, limits: Mapping[Any, Any]) -> None:  # Any: each driver has its own keys, and checks them
        """Declare safety limits by quantity: `{"setpoint": (4, 320)}`, or `{"setpoint": {"max": 320, "max_rate": 2}}`.

        Raises LimitError if one cannot be understood.
        """
        known = [*declared_in(type(self)), *self._added]
        for name, limit in limits.items():
            if name in known:
                self._limit(cast(Quantity[Any], getattr(self, name)), limit)
            elif "_fixed" not in vars(self) and "__init__" in vars(type(self)):
                self._late_limits[name] = limit  # the driver has yet to add it
            else:
                raise LimitError(f"{self.name}: {unknown(name, known, 'quantity to limit')}")

    def _limit(self, quantity: Quantity[Any], limit: object) -> None:
        if not isinstance(limit, Mapping):
            quantity.limit(cast(Any, limit))  # Any: `limit` checks it
            return
        parts = dict(cast(Mapping[str, Any], limit))
        pace = {key: parts.pop(key) for key in ("max_step", "max_rate") if key in parts}
        quantity.limit(parts if parts or not pace else None, **pace)

    def check_late_limits(self) -> None:
        """Raise LimitError if limits were given for quantities that nobody has added."""
        if self._late_limits:
            name, *_ = self._late_limits
            raise LimitError(
                f"{self.name}: {unknown(name, list(self.parameters), 'quantity to limit')}; make the instrument anew"
            )

    def restrict(self, name: str, bounds: Bounds) -> None:
        """Put the safety limit of the quantity `name` in force; warn if the value last known lies outside."""
        self.safety[name] = bounds
        value, unit = self.known.get(name, (None, ""))
        if isinstance(value, int | float) and not bounds.low <= value <= bounds.high:
            warnings.warn(
                f"{self.name}: {name} is {value:g} {unit}".rstrip()
                + f", outside of its new safety limit {bounds}; it stays there until it is set",
                UserWarning,
                stacklevel=3,
            )

    def interlock(self, name: str, allows: Callable[[Any], object], otherwise: str) -> None:
        """Refuse to set the quantity `name` unless `allows(value)`; `otherwise` says what to do: "close the lid".

        Raises LimitError if the instrument has no such quantity.
        """
        known = [*self.parameters, *(text for setting in self.settings for text in setting.names if text)]
        if name not in known and not any(setting.concerns(name) for setting in self.settings):
            raise LimitError(f"{self.name}: {unknown(name, known, 'quantity to lock')}")
        self.interlocks.setdefault(name, []).append(Interlock(allows, otherwise))

    def permit(self, name: str, number: float, what: str) -> None:
        """Raise LimitError unless the safety limit and the interlocks of the quantity `name` allow `number` now."""
        if (bounds := self.safety.get(name)) is not None:
            bounds.check(number, what)
        self.unlocked(name, number, what)

    def unlocked(self, name: str, value: object, what: str) -> None:
        """Raise LimitError unless the interlocks of the quantity `name` allow `value` now."""
        for interlock in self.interlocks.get(name, ()):
            interlock.check(value, what)

    def range_of(self, name: str) -> Bounds | None:
        """Return what the instrument takes for a quantity that is not a Parameter; None if it is not declared."""
        return None

    def judge(self, message: str, *, by_hand: bool = False) -> None:
        """Raise LimitError if the command `message` would set something that limits forbid.

        So does one that touches a limited quantity in a way that cannot be judged, and, `by_hand`, one that would
        jump where a ramp is declared.
        """
        limited = {**self.safety, **self.interlocks, **(self.paces if by_hand else {})}
        if not limited or _only_asks(message):
            return
        try:
            units = units_of(message)
        except ValueError as error:
            raise self._refusal(message, f"it cannot be read ({error})", limited) from None
        selected: int | None = None
        for unit in units:
            selected = selected_by(unit, selected)
            if restores(unit):
                raise self._refusal(unit.text, "what it brings back cannot be seen in it", limited)
            if not unit.asks:
                self._judge_unit(unit, selected, limited)

    def _judge_unit(self, unit: Unit, selected: int | None, limited: Mapping[str, object]) -> None:
        if self._recognised is None:
            self._recognised = tuple(self._settings())
        for setting in self._recognised:
            if setting.matches(unit):
                for name, text in setting.values(unit, selected, limited):
                    if isinstance(limited[name], Pace):
                        raise self._refusal(
                            unit.text, f"{name} moves in steps; use {self.name}.{name}.set(...)", {name: None}
                        )
                    self._judge_value(unit, setting, name, text)

    def _judge_value(self, unit: Unit, setting: Setting, name: str, text: str) -> None:
        try:
            value = _SWITCH.read(text) if setting.switch else self._meant(name, text)
        except ValueError as error:
            raise self._refusal(unit.text, f"{text!r} sets {name}, and {error}", {name: None}) from None
        try:
            if not (setting.switch and not value):  # switching off is never forbidden
                self.permit(name, cast(float, value), f"{self.name} {name}")
        except LimitError as error:
            raise LimitError(f"{error} (in {unit.text!r})") from error

    def _meant(self, name: str, text: str) -> object:
        """Return what an argument sets. Raises ValueError if that is not sure."""
        if name in self._added or name in declared_in(type(self)):
            return cast(Quantity[Any], getattr(self, name)).meant_by(text)
        bounds, whole = self.safety.get(name), self.range_of(name)
        end = {"MIN": "low", "MINIMUM": "low", "MAX": "high", "MAXIMUM": "high"}.get(text.upper())
        if end is None:
            number = number_of(text, whole.unit if whole else bounds.unit if bounds else "")
        else:
            number = getattr(whole, end) if whole else None
        if number is None or math.isinf(number):
            raise ValueError("how much that is cannot be told")
        return number

    def _settings(self) -> Iterator[Setting]:
        yield from self.settings
        for declared in (*declared_in(type(self)).values(), *self._added.values()):
            setting = declared.setting()
            if setting is not None:
                yield setting

    def _refusal(self, text: str, why: str, limited: Mapping[str, object]) -> LimitError:
        names = ", ".join(limited)
        return LimitError(
            f"{self.name}: {text!r} is refused, because {names} has limits and {why}; use the instrument's own methods, "
            f"or write a plain number in the base unit, naming the channel; nothing was sent"
        )


def _only_asks(message: str) -> bool:
    """Return whether `message` is one query: most are, and nothing in it needs to be judged."""
    header = message.split(None, 1)[0] if message.strip() else "?"
    return header.endswith("?") and ";" not in message and "\n" not in message


@cache
def declared_in(kind: type) -> "Mapping[str, Parameter[Any]]":  # Any: of every kind
    """Return the parameters that a class declares, in the order of their declaration, inherited ones first."""
    names = dict.fromkeys(name for base in reversed(kind.__mro__) for name in vars(base))
    found = {name: inspect.getattr_static(kind, name) for name in names}
    return MappingProxyType({name: value for name, value in found.items() if isinstance(value, Parameter)})
