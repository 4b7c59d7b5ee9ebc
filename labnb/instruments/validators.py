"""What a quantity can be: which values it takes, how they are written to the wire and read from it.

A value that is refused never reaches the wire. `check` is about what people give (LimitError), `read` about what
instruments answer (ValueError; the caller says which instrument and which command).
"""

import math
import re
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Generic, TypeVar, cast

from labnb.core import LimitError, format_value, unknown
from labnb.instruments.limits import Bounds, exact_text, to_number

T = TypeVar("T")


class Validator(ABC, Generic[T]):
    """Values of one kind. Subclass it for a kind of your own."""

    numeric: ClassVar[bool] = False
    """Whether limits have a meaning."""
    continuous: ClassVar[bool] = False
    """Whether a value times a factor is one too: a scale has a meaning."""

    @property
    @abstractmethod
    def expected(self) -> str:
        """What is taken, for messages and help: `a number from 0 to 10`."""

    @abstractmethod
    def check(self, value: object, what: str, unit: str = "") -> T:
        """Return `value` as it is kept. Raises LimitError, naming `what`, if it is not taken."""

    @abstractmethod
    def read(self, answer: object) -> T:
        """Return what a text from the wire, or the result of a function, says. Raises ValueError if it says nothing."""

    def write(self, value: T) -> object:
        """Return what stands for `value` in a command."""
        return value

    def give(self, value: T) -> object:
        """Return what a function that sets the quantity is called with."""
        return value

    def extremes(self, value: T) -> tuple[float, ...]:
        """Return the numbers in `value` that limits have to allow."""
        return ()

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {self.expected}>"


class Numbers(Validator[float]):
    """Finite numbers from `low` to `high`, both included."""

    numeric = continuous = True

    def __init__(self, low: float = -math.inf, high: float = math.inf) -> None:
        Bounds(low, high, kind="range")  # raises if it is no interval
        self.low, self.high = low, high

    @property
    def expected(self) -> str:
        """`a number from 0 to 10`."""
        return f"a number{_range_text(self.low, self.high)}"

    def check(self, value: object, what: str, unit: str = "") -> float:
        """Return `value` as a float in `unit`."""
        return Bounds(self.low, self.high, unit, "range").check(value, what)

    def read(self, answer: object) -> float:
        """Return the number; one that was measured may lie outside of what can be set."""
        try:
            return float(cast(str, answer))
        except (TypeError, ValueError):
            raise ValueError("no number") from None

    def extremes(self, value: float) -> tuple[float, ...]:
        """Return the number."""
        return (value,)


class Ints(Validator[int]):
    """Whole numbers from `low` to `high`, both included; 2.0 is one, 2.5 is refused."""

    numeric = True

    def __init__(self, low: float = -math.inf, high: float = math.inf) -> None:
        Bounds(low, high, kind="range")
        self.low, self.high = low, high

    @property
    def expected(self) -> str:
        """`a whole number from 1 to 4`."""
        return f"a whole number{_range_text(self.low, self.high)}"

    def check(self, value: object, what: str, unit: str = "") -> int:
        """Return `value` as an int."""
        if isinstance(value, int) and not isinstance(value, bool):
            number: float = value
        else:
            number = to_number(value, what, unit)
            if not number.is_integer():
                raise LimitError(f"{what} must be {self.expected}, got {value!r}; nothing was sent")
        if not self.low <= number <= self.high:
            raise LimitError(
                f"{what} = {number} is outside of its range{_range_text(self.low, self.high)}; nothing was sent"
            )
        return int(number)

    def read(self, answer: object) -> int:
        """Return the whole number; `+4.00000E+00` is one."""
        try:
            number = float(cast(str, answer))
        except (TypeError, ValueError):
            raise ValueError("no whole number") from None
        if not number.is_integer():
            raise ValueError("no whole number")
        return int(number)

    def extremes(self, value: int) -> tuple[float, ...]:
        """Return the number."""
        return (value,)


class Enum(Validator[str]):
    """One of several words; a mapping gives each word the text that the wire has for it.

    ```python
    Enum("SINE", "SQU")
    Enum({"sine": "SIN", "square": "SQU"})
    ```
    Case does not matter to people; answers may come in SCPI's short or long form, or in quotes.
    """

    def __init__(self, *words: str | Mapping[str, str]) -> None:
        self.texts: dict[str, str] = {}
        for word in words:
            self.texts.update({word: word} if isinstance(word, str) else word)
        if not self.texts or not all(_is_word(text) for text in self.texts.values()):
            raise LimitError(
                f'Enum: expected words, as in Enum("SINE", "SQU") or Enum({{"sine": "SIN"}}), got {words!r}'
            )

    @property
    def expected(self) -> str:
        """`one of 'SINE', 'SQU'`."""
        return f"one of {', '.join(map(repr, self.texts))}"

    def check(self, value: object, what: str, unit: str = "") -> str:
        """Return the word as it was declared."""
        if isinstance(value, str):
            if value in self.texts:
                return value
            same = [word for word in self.texts if word.casefold() == value.strip().casefold()]
            if len(same) == 1:
                return same[0]
        raise LimitError(f"{what}: {unknown(value, list(self.texts), 'value')}; nothing was sent")

    def read(self, answer: object) -> str:
        """Return the word for which the wire has `answer`."""
        said = str(answer).strip().strip("\"'").upper()
        exact = [word for word, text in self.texts.items() if text.upper() == said]
        near = [word for word, text in self.texts.items() if said and _same_mnemonic(text.upper(), said)]
        for found in (exact, near):
            if len(found) == 1:
                return found[0]
        raise ValueError(f"none of {', '.join(map(repr, self.texts.values()))}")

    def write(self, value: str) -> str:
        """Return the wire's text."""
        return self.texts[value]

    def give(self, value: str) -> str:
        """Return the wire's text."""
        return self.texts[value]


class Bool(Validator[bool]):
    """On or off; `on` and `off` are the wire's words for it."""

    def __init__(self, on: str = "ON", off: str = "OFF") -> None:
        self.on, self.off = on, off

    @property
    def expected(self) -> str:
        """`True or False`."""
        return "True or False"

    def check(self, value: object, what: str, unit: str = "") -> bool:
        """Return `value`; Python's and numpy's truths, 0 and 1, "on" and "off" are taken."""
        word = value.strip().upper() if isinstance(value, str) else value
        if isinstance(word, str):
            if word in ("ON", "OFF"):
                return word == "ON"
        elif getattr(word, "shape", ()) == () and word in (0, 1):
            return bool(word)
        raise LimitError(f"{what} must be True or False (on or off), got {value!r}; nothing was sent")

    def read(self, answer: object) -> bool:
        """Return what 1, 0, ON, OFF or the declared words say."""
        if isinstance(answer, bool):
            return answer
        said = str(answer).strip().upper()
        if said in ("1", "+1", "ON", self.on.upper()):
            return True
        if said in ("0", "+0", "OFF", self.off.upper()):
            return False
        raise ValueError("neither 0 nor 1")

    def write(self, value: bool) -> str:
        """Return the wire's word."""
        return self.on if value else self.off


class Strings(Validator[str]):
    """Printable texts of at most `max_length` characters that match `pattern` as a whole.

    On the wire they are put in double quotes, unless `quoted=False`; then they must not contain what would end the
    argument (quotes, commas, semicolons).
    """

    def __init__(self, max_length: int | None = None, pattern: str | None = None, *, quoted: bool = True) -> None:
        self.max_length, self.pattern, self.quoted = max_length, pattern, quoted
        self._matches = re.compile(pattern or ".*", re.DOTALL)

    @property
    def expected(self) -> str:
        """`a text of at most 12 characters`."""
        most = "" if self.max_length is None else f" of at most {self.max_length} characters"
        like = "" if self.pattern is None else f" that matches {self.pattern!r}"
        return f"a text{most}{like}"

    def check(self, value: object, what: str, unit: str = "") -> str:
        """Return the text."""
        if not isinstance(value, str) or not self._matches.fullmatch(value):
            raise LimitError(f"{what} must be {self.expected}, got {value!r}; nothing was sent")
        if self.max_length is not None and len(value) > self.max_length:
            raise LimitError(f"{what} must be {self.expected}, got {len(value)}: {value!r}; nothing was sent")
        forbidden = sorted({char for char in value if not (char.isascii() and char.isprintable())})
        if not self.quoted:
            forbidden += sorted({char for char in value if char in "\"',;"})
        if forbidden:
            raise LimitError(
                f"{what}: the wire cannot carry {', '.join(map(repr, forbidden))} in {value!r}; nothing was sent"
            )
        return value

    def read(self, answer: object) -> str:
        """Return the text without its quotes."""
        text = str(answer)
        if len(text) > 1 and text[0] == text[-1] and text[0] in "\"'":
            return text[1:-1].replace(text[0] * 2, text[0])
        return text

    def write(self, value: str) -> str:
        """Return the text in quotes; quotes inside are doubled (IEEE 488.2, 7.7.5)."""
        return '"' + value.replace('"', '""') + '"' if self.quoted else value


class Anything(Validator[Any]):  # Any: whatever a person's own functions take and return
    """Whatever it is: for functions that check it themselves. Limits hold once there are some."""

    numeric = continuous = True

    @property
    def expected(self) -> str:
        """`a value`."""
        return "a value"

    def check(self, value: object, what: str, unit: str = "") -> Any:  # Any: see the class
        """Return `value`."""
        return value

    def read(self, answer: object) -> Any:  # Any: see the class
        """Return `answer`."""
        return answer

    def extremes(self, value: Any) -> tuple[float, ...]:  # Any: see the class
        """Return `value`: with a limit, it has to be a number."""
        return (value,)


def texts(values: Sequence[float]) -> str:
    """Return numbers as the list that a command takes: `0.5,1,-1`."""
    return ",".join(map(exact_text, values))


def _range_text(low: float, high: float) -> str:
    if math.isinf(low) and math.isinf(high):
        return ""
    if math.isinf(low):
        return f" of at most {format_value(high)}"
    return (
        f" of at least {format_value(low)}"
        if math.isinf(high)
        else f" from {format_value(low)} to {format_value(high)}"
    )


def _is_word(text: object) -> bool:
    return (
        isinstance(text, str) and bool(text) and text.isascii() and text.isprintable() and not set(text) & set(";\"'")
    )


def _same_mnemonic(one: str, other: str) -> bool:
    short, long = sorted((one, other), key=len)
    return len(short) >= 3 and long.startswith(short)
