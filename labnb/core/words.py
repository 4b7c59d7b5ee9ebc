"""How an error refuses a word that it does not know: with the nearest one that it knows."""

from collections.abc import Iterable
from difflib import get_close_matches

FEW = 10
"""As many known words are all told; of more only the nearest, if there is one."""


def unknown(word: object, known: Iterable[object], what: str) -> str:
    """Return the text that refuses `word` as a `what` and suggests the nearest of `known`.

    >>> unknown("curent", ("current", "voltage"), "quantity to limit")
    "unknown quantity to limit 'curent'; did you mean 'current'? there are current, voltage"
    """
    return f"unknown {what} {str(word)!r}; {nearest(word, known)}"


def nearest(word: object, known: Iterable[object]) -> str:
    """Return the text that suggests the nearest of `known`; without one, or if they are few, it names them all."""
    words = [str(each) for each in known]
    lower = {each.lower(): each for each in words}
    near = get_close_matches(str(word).lower(), list(lower), n=1, cutoff=0.5)
    if near and len(words) > FEW:
        return f"did you mean {lower[near[0]]!r}?"
    hint = f"did you mean {lower[near[0]]!r}? " if near else ""
    return f"{hint}there are {', '.join(words) if words else 'none'}"
