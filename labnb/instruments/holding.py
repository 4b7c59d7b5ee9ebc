"""What an instrument holds: its quantities, declared by its class or added to it, by name."""

import inspect
import keyword
from collections.abc import Callable, Mapping
from functools import cache
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, TypeVar, cast, overload

from labnb.core import InstrumentError, LimitError, unknown
from labnb.instruments.action import Action
from labnb.instruments.guarded import Guarded
from labnb.instruments.lane import Lane
from labnb.instruments.limits import to_bounds
from labnb.instruments.parameter import Getter, Parameter, Setter
from labnb.instruments.quantity import Quantity
from labnb.instruments.validators import Validator

T = TypeVar("T")


class Holding(Guarded):
    """The part of an instrument that knows its quantities. `Instrument` adds the conversation."""

    lane: Lane

    def __init__(self) -> None:
        self._added: dict[str, Parameter[Any]] = {}
        self._own: dict[str, object] = {}  # what a driver itself keeps under the name of an added parameter
        self._running: list[str] = []
        self._late_limits: dict[str, object] = {}
        super().__init__()

    def declared(self) -> Mapping[str, Parameter[Any]]:
        """Return the parameters of the class, and those that were added."""
        own = declared_in(type(self))
        return {**own, **self._added} if self._added else own

    # ---- quantities

    @property
    def parameters(self) -> Mapping[str, Quantity[Any]]:
        """The quantities and switches by name, in the order of their declaration."""
        return MappingProxyType({name: cast(Quantity[Any], getattr(self, name)) for name in self.declared()})

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
        if name in self.declared():
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

        Of what has channels by their numbers: `{1: {"voltage": (0, 3.3)}}`. None leaves a limit as it is. Raises LimitError
        if one cannot be understood.
        """
        if not isinstance(limits, Mapping):  # pyright: ignore[reportUnnecessaryIsInstance]  people pass anything
            raise LimitError(f"{self.name}: limits are given by name, {{'setpoint': (4, 320)}}, got {limits!r}")
        known = [*self.declared(), *(name for name in self.limitable if "{}" not in name)]
        for name, limit in limits.items():
            if name in self.declared():
                self._limit(cast(Quantity[Any], getattr(self, name)), limit)
            elif name in known:
                self.restrict(name, to_bounds(limit, self.limitable[name], f"{self.name} {name}"))
            elif self.channel_numbers and name not in known:
                self._limit_channel(name, limit)
            elif "_fixed" not in vars(self) and self._grows:
                self._late_limits[name] = limit  # the driver has yet to add it
            else:
                raise LimitError(f"{self.name}: {unknown(name, known, 'quantity to limit')}")

    def _limit_channel(self, number: object, limits: object) -> None:
        if not _is_whole(number) or not isinstance(limits, Mapping):
            raise LimitError(
                f"{self.name}: limits are given as {{1: {{'voltage': (0, 3.3)}}}}, got {{{number!r}: {limits!r}}}"
            )
        self.check_channel(number)
        for quantity, limit in cast(Mapping[str, object], limits).items():
            name = f"channel {number} {quantity}"
            unit = self.unit_of(name)
            if unit is None:
                known = [each.removeprefix("channel {} ") for each in self.limitable]
                raise LimitError(f"{self.name}: {unknown(quantity, known, 'quantity to limit')}")
            if limit is not None:
                self.restrict(name, to_bounds(limit, unit, f"{self.name} {name}"))

    def check_channel(self, number: object) -> None:
        """Raise LimitError if the instrument has no channel `number`."""
        if not _is_whole(number) or number not in self.channel_numbers:
            raise LimitError(
                f"{self.name} has channels {', '.join(map(str, self.channel_numbers))}, no channel {number!r}"
            )

    @property
    def _grows(self) -> bool:
        """Whether a driver may add parameters while the instrument is made."""
        return False

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


def _is_whole(number: object) -> bool:
    return hasattr(type(number), "__index__") and not isinstance(number, bool)


@cache
def declared_in(kind: type) -> "Mapping[str, Parameter[Any]]":  # Any: of every kind
    """Return the parameters that a class declares, in the order of their declaration, inherited ones first."""
    names = dict.fromkeys(name for base in reversed(kind.__mro__) for name in vars(base))
    found = {name: inspect.getattr_static(kind, name) for name in names}
    return MappingProxyType({name: value for name, value in found.items() if isinstance(value, Parameter)})
