"""Alarms: a limit on a logged variable, written as people write it, and whether it is exceeded.

```
"pressure > 1e-3"        above a limit          "10 < flow < 20"        outside of a band: the band is what is allowed
"flow <= 0.5"            at or below one
```
Texts are parsed, never evaluated.
"""

import math
import operator
import re
from collections.abc import Callable
from dataclasses import dataclass

from labnb.core import PlanError

_NUMBER = r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?"
_ONE = re.compile(rf"(?P<name>[^<>=!]+?)\s*(?P<op>>=|<=|>|<)\s*(?P<limit>{_NUMBER})")
_BAND = re.compile(rf"(?P<low>{_NUMBER})\s*(?P<op><=|<)\s*(?P<name>[^<>=!]+?)\s*(?P<op2><=|<)\s*(?P<high>{_NUMBER})")
_OPERATORS: dict[str, Callable[[float, float], bool]] = {
    ">": operator.gt,
    ">=": operator.ge,
    "<": operator.lt,
    "<=": operator.le,
}
_PART = 0.01  # of the limit: a hysteresis that noise of the last digit does not cross


@dataclass(frozen=True, slots=True)
class Side:
    """One limit: `exceeds` it raises the alarm; only beyond it by the hysteresis it is over."""

    op: str
    limit: float

    def exceeds(self, value: float, hysteresis: float = 0.0) -> bool:
        """Whether `value` is on the forbidden side; with `hysteresis` that side reaches further."""
        return _OPERATORS[self.op](value, self.limit - hysteresis if ">" in self.op else self.limit + hysteresis)


@dataclass(frozen=True, slots=True)
class Limits:
    """What is watched: the alarm is on while one of `sides` is exceeded. `hysteresis` is in the unit of the variable."""

    text: str
    name: str
    sides: tuple[Side, ...]
    hysteresis: float

    def judge(self, value: float, *, raised: bool) -> bool:
        """Return whether the alarm is on after `value`. NaN, not measured, changes nothing."""
        if math.isnan(value):
            return raised
        return any(side.exceeds(value, self.hysteresis if raised else 0.0) for side in self.sides)


def parse_limits(text: object, hysteresis: float | None = None) -> Limits:
    """Return what `text` watches. Raises PlanError, with what is possible, for anything else.

    >>> parse_limits("pressure > 1e-3").judge(2e-3, raised=False)
    True
    """
    if not isinstance(text, str):
        raise PlanError(f"alert: expected a text such as 'pressure > 1e-3', got {text!r}")
    if band := _BAND.fullmatch(text.strip()):
        low, high = float(band["low"]), float(band["high"])
        if not low < high:
            raise PlanError(f"alert {text!r}: the band from {low:g} to {high:g} is empty; the lower limit comes first")
        sides = (Side("<" if band["op"] == "<=" else "<=", low), Side(">" if band["op2"] == "<=" else ">=", high))
        return Limits(text.strip(), band["name"].strip(), sides, _checked(text, hysteresis, high - low))
    if one := _ONE.fullmatch(text.strip()):
        limit = float(one["limit"])
        return Limits(
            text.strip(), one["name"].strip(), (Side(one["op"], limit),), _checked(text, hysteresis, abs(limit))
        )
    raise PlanError(
        f"alert: cannot understand {text!r}; expected a name, one of > >= < <= and a number ('pressure > 1e-3'), or the "
        f"allowed band ('10 < flow < 20'){_hint(text)}"
    )


def _hint(text: str) -> str:
    if " and " in text or " or " in text:
        return "; give each condition an alert of its own"
    if re.match(rf"\s*{_NUMBER}\s*[<>]", text):
        return "; the name comes first"
    if "==" in text or "!=" in text:
        return "; measured numbers are hardly ever equal"
    return ""


def _checked(text: str, hysteresis: object, scale: float) -> float:
    if hysteresis is None:
        return _PART * scale
    if not (isinstance(hysteresis, int | float) and 0 <= hysteresis < math.inf):
        raise PlanError(f"alert {text!r}: the hysteresis is a number that is not negative, got {hysteresis!r}")
    return float(hysteresis)
