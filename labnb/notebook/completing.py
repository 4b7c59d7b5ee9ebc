"""What Tab offers behind `%%measure`, `%%task`, `%stop` and `%runs`: options, names of runs and tasks, axes."""

import contextlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from keyword import iskeyword

from IPython.core.completer import CompletionContext, SimpleCompletion, SimpleMatcherResult, context_matcher
from IPython.core.interactiveshell import InteractiveShell

from labnb.core import LabnbError, State
from labnb.notebook import request, searching, task
from labnb.notebook.going import things
from labnb.record import runs
from labnb.session import Run, Task

_INTERVALS = ("100ms", "250ms", "1s", "10s", "1min")
_LATEST = 30

_LOOP = re.compile(r"^[ \t]*for[ \t]+\(?([\w, \t]+?)\)?[ \t]+in\b", re.MULTILINE)
_RECORD = re.compile(r"^[ \t]*([^\W\d]\w*)[ \t]*:[ \t]*[^\s=]", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Known:
    """What there is to offer: the names of recorded runs, of what goes on, of tasks, and the tags in use."""

    runs: tuple[str, ...] = ()
    going: tuple[str, ...] = ()
    tasks: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()


def body_names(body: str) -> tuple[str, ...]:
    """Return the axes and variables of a cell's body, which need not be complete.

    >>> body_names('for v in sweep(0, 1, 3): i')
    ('v',)
    """
    axes = [name.strip() for found in _LOOP.findall(body) for name in found.split(",")]
    records = [name for name in _RECORD.findall(body) if not iskeyword(name)]
    return tuple(dict.fromkeys(name for name in (*axes, *records) if name))


@dataclass(frozen=True, slots=True)
class _Language:
    """The words of one magic: its options, what may follow some of them, and what stands alone."""

    options: tuple[str, ...]
    values: Mapping[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])
    valued: tuple[str, ...] = ()
    alone: tuple[str, ...] = ()


def _language(magic: str, body: str, known: Known) -> _Language | None:
    states = tuple(state.value for state in State if state is State.RUNNING or state.ended)
    match magic:
        case "%%measure":
            values = {"--plot": body_names(body), "--with": known.tasks, "--tag": known.tags, "--every": _INTERVALS}
            return _Language(request.OPTIONS, values | {"--for": _INTERVALS}, request.VALUED, known.runs)
        case "%%task":
            return _Language(task.OPTIONS, {"--on-error": ("stop", "warn")}, ("--on-error",), known.tasks)
        case "%stop":
            return _Language((), alone=(*known.going, "all"))
        case "%runs":
            values = {"--name": known.runs, "--tag": known.tags, "--state": states}
            return _Language(searching.OPTIONS, values, searching.OPTIONS)
        case _:
            return None


def offered(line: str, body: str, known: Callable[[], Known]) -> tuple[str, ...] | None:
    """Return what may stand at the end of `line`, the text before the cursor; None if that is not ours to say.

    >>> offered("%%measure iv --pl", "", Known)
    ('--plot',)
    """
    magic, gap, rest = line.partition(" ")
    if not gap or magic not in ("%%measure", "%%task", "%stop", "%runs"):
        return None
    language = _language(magic, body, known())
    if language is None:
        return None
    before, _, last = rest.rpartition(" ")
    words = before.split()
    option, inline, value = last.partition("=")
    if not inline:
        option, value = (words[-1] if words else ""), last
    if option in language.valued:
        return _beginning(language.values.get(option, ()), value.rpartition(",")[2])
    if last.startswith("-"):
        used = {word.partition("=")[0] for word in words} - {"--with", "--tag"}
        return _beginning([each for each in language.options if each not in used], last)
    return _beginning(language.alone if magic == "%stop" or not words else (), last)


def _beginning(words: "tuple[str, ...] | list[str]", start: str) -> tuple[str, ...]:
    return tuple(word for word in dict.fromkeys(words) if word.startswith(start))


def make_matcher(
    shell: InteractiveShell, tasks: Mapping[str, Task]
) -> Callable[[CompletionContext], SimpleMatcherResult]:
    """Return what IPython asks for completions."""

    @context_matcher()  # pyright: ignore[reportUntypedFunctionDecorator]  IPython does not say what it returns
    def labnb_matcher(context: CompletionContext) -> SimpleMatcherResult:
        """Offer the words of labnb's magics."""
        body = context.full_text.partition("\n")[2]
        found = offered(context.text_until_cursor, body, lambda: known_here(shell, tasks))
        if found is None or (context.cursor_line and context.text_until_cursor.startswith("%%")):
            return SimpleMatcherResult(completions=[])
        return SimpleMatcherResult(completions=[SimpleCompletion(word, type="magic") for word in found], suppress=True)

    return labnb_matcher


def known_here(shell: InteractiveShell, tasks: Mapping[str, Task]) -> Known:
    """Return what there is in this notebook and in its folder of runs."""
    held = [name for name, value in tuple(shell.user_ns.items()) if isinstance(value, Run) and not name.startswith("_")]
    recorded, tags = list[str](), list[str]()
    with contextlib.suppress(LabnbError, OSError):  # who presses Tab wants no error; %runs tells it
        for summary in runs(limit=_LATEST).summaries():
            recorded.append(summary.name)
            tags += summary.tags
    return Known(tuple(dict.fromkeys([*held, *recorded])), tuple(things()), tuple(tasks), tuple(dict.fromkeys(tags)))
