r"""Which resources a VISA expression finds: `USB?*::INSTR`, `GPIB[0-9]*::?*{VI_ATTR_GPIB_PRIMARY_ADDR > 4}`.

The expression before the brace is matched against the whole name, whatever its case: `?` is any character, `\` makes
the next one ordinary, `[a-z]` and `[^a-z]` are lists, `*` and `+` repeat, `|` separates alternatives and `( )` groups.
Within the braces attributes are compared (`== != < > <= >=`) and combined (`&& || !` and parentheses).

Source: VPP-4.3, section 4.3.1 (viFindRsrc).
"""

import operator
import re
from collections.abc import Callable
from typing import Any

from pyvisa import attributes, constants

Lookup = Callable[[int], object]
"""An attribute's value by its number; None where a resource does not have it."""
_Test = Callable[[Lookup], bool]

_COMPARE: dict[str, Callable[[Any, Any], bool]] = {  # Any: numbers with numbers, texts with texts
    "==": operator.eq, "!=": operator.ne, "<": operator.lt, ">": operator.gt, "<=": operator.le, ">=": operator.ge,
}  # fmt: skip
_TOKEN = re.compile(r"""\s*(?:(\w+)|(==|!=|<=|>=|&&|\|\||[<>!()])|"([^"]*)"|'([^']*)')""", re.ASCII)
_SPECIAL = set("*+|()")
LONGEST = 256
"""VI_FIND_BUFLEN."""


class InvalidExpression(ValueError):
    """A search expression that VISA does not understand."""


class Expression:
    """A parsed search expression. Raises InvalidExpression."""

    def __init__(self, text: str) -> None:
        if len(text) > LONGEST:
            raise InvalidExpression(f"it is longer than {LONGEST} characters")
        names, brace, rest = text.partition("{")
        if brace and (not rest.endswith("}") or "{" in rest or "}" in rest[:-1]):
            raise InvalidExpression(f"{text!r}: one pair of braces at the end holds the comparisons")
        try:
            self._names = re.compile(_translated(names), re.IGNORECASE)
        except (re.error, OverflowError) as error:
            raise InvalidExpression(f"{names!r}: {error}") from error
        self._test: _Test | None = _Comparisons(rest[:-1]).whole() if brace else None

    def finds(self, name: str, lookup: Lookup) -> bool:
        """Return whether a resource is meant."""
        return self._names.fullmatch(name) is not None and (self._test is None or self._test(lookup))


def _translated(names: str) -> str:
    pieces: list[str] = []
    position = 0
    while position < len(names):
        char = names[position]
        if char == "\\":
            position += 1
            pieces.append(re.escape(names[position : position + 1]))
        elif char == "[":
            end = names.find("]", position)
            pieces.append(_listed(names[position + 1 : end]) if end > position + 1 else "[")
            position = end if end > 0 else len(names)
        else:
            pieces.append("." if char == "?" else char if char in _SPECIAL else re.escape(char))
        position += 1
    return "".join(pieces)


def _listed(chars: str) -> str:
    negated = chars.startswith("^")
    inner = re.sub(r"([^0-9A-Za-z-])", r"\\\1", chars[negated:])
    return f"[{'^' * negated}{inner}]"


class _Comparisons:
    """A parser by recursive descent."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens = self._cut()
        self._position = 0

    def _cut(self) -> list[tuple[str, str]]:
        tokens: list[tuple[str, str]] = []
        position = 0
        while self._text[position:].strip():
            found = _TOKEN.match(self._text, position)
            if not found:
                raise InvalidExpression(f"{self._text!r}: unexpected {self._text[position:]!r}")
            position = found.end()
            kind = ("word", "sign", "text", "text")[(found.lastindex or 1) - 1]
            tokens.append((kind, found[found.lastindex or 1]))
        return tokens

    def _next(self) -> tuple[str, str]:
        if self._position == len(self._tokens):
            raise InvalidExpression(f"{self._text!r} ends too early")
        self._position += 1
        return self._tokens[self._position - 1]

    def _accepts(self, sign: str) -> bool:
        found = self._tokens[self._position : self._position + 1] == [("sign", sign)]
        self._position += found
        return found

    def whole(self) -> _Test:
        test = self._either()
        if self._position < len(self._tokens):
            raise InvalidExpression(f"{self._text!r}: unexpected {self._tokens[self._position][1]!r}")
        return test

    def _either(self) -> _Test:
        tests = [self._both()]
        while self._accepts("||"):
            tests.append(self._both())
        return lambda lookup: any(test(lookup) for test in tests)

    def _both(self) -> _Test:
        tests = [self._single()]
        while self._accepts("&&"):
            tests.append(self._single())
        return lambda lookup: all(test(lookup) for test in tests)

    def _single(self) -> _Test:
        if self._accepts("!"):
            test = self._single()
            return lambda lookup: not test(lookup)
        if self._accepts("("):
            test = self._either()
            if not self._accepts(")"):
                raise InvalidExpression(f"{self._text!r}: a parenthesis is not closed")
            return test
        return self._comparison()

    def _comparison(self) -> _Test:
        attribute = _attribute(self._next())
        kind, sign = self._next()
        if kind != "sign" or sign not in _COMPARE:
            raise InvalidExpression(f"{self._text!r}: expected a comparison instead of {sign!r}")
        compare, wanted = _COMPARE[sign], _value(self._next())

        def test(lookup: Lookup) -> bool:
            found = lookup(attribute)
            return isinstance(found, int) == isinstance(wanted, int) and found is not None and compare(found, wanted)

        return test


def _attribute(token: tuple[str, str]) -> int:
    for attribute, known in attributes.AttributesByID.items():
        if token == ("word", known.visa_name):
            if known.local:
                raise InvalidExpression(f"{token[1]} belongs to a session, not to a resource")
            return attribute
    raise InvalidExpression(f"{token[1]!r} is no attribute")


def _value(token: tuple[str, str]) -> int | str:
    kind, text = token
    if kind == "text":
        return text
    named = getattr(constants, text, None) if text.startswith("VI_") else None
    if isinstance(named, int):
        return int(named)
    try:
        return int(text, 0)
    except ValueError:
        raise InvalidExpression(f"{text!r} is neither a number nor a text in quotes") from None
