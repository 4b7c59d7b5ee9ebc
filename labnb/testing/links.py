"""A Link that follows a script, and what every Link promises."""
# ruff: noqa: D102  a test's name is its sentence

import threading
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from labnb.core import LinkError, LinkTimeout
from labnb.instruments import Link

Answer = str | bytes | Exception | Callable[[str], str]


class ScriptedLink:
    """An instrument made of a table of queries and answers; it remembers what it was sent.

    An answer may be a text, a block (bytes), an exception to raise, or a function of the query. A query that is not in
    the table times out. `hold()` stops the next exchange half-way until `release()`.
    """

    def __init__(self, answers: Mapping[str, Answer] | None = None, *, name: str = "scripted") -> None:
        self.name = name
        self.address = "SCRIPT::INSTR"
        self.poll = False
        self.timeout_s = 1.0
        self.reopened = 0
        self.sent: list[str] = []
        self.answers: dict[str, Answer] = {
            "*IDN?": "labnb,SCRIPTED,0,1",
            "SYST:ERR?": '+0,"No error"',
            **(answers or {}),
        }
        self.refused: dict[str, Exception] = {}
        self.cleared = 0
        self.closed = False
        self.held = threading.Event()
        self._open = threading.Event()
        self._open.set()
        self._busy = threading.Lock()

    def hold(self) -> None:
        """Let the next exchange stop once it has begun; `held` is set then."""
        self._open.clear()
        self.held.clear()

    def release(self) -> None:
        """Let a held exchange, and all that follow, go on."""
        self._open.set()

    def write(self, command: str) -> None:
        """Remember `command`; raise what `refused` has for it."""
        with self._exchange(command):
            if command in self.refused:
                raise self.refused[command]

    def query(self, command: str) -> str:
        """Return the scripted answer."""
        with self._exchange(command):
            answer = self._answer(command)
            if isinstance(answer, bytes):
                raise LinkError(f"{self.name}: {command!r} is answered by a block")
            return answer

    def query_block(self, command: str) -> bytes:
        """Return the scripted block."""
        with self._exchange(command):
            answer = self._answer(command)
            if isinstance(answer, str):
                raise LinkError(f"{self.name}: {command!r} is answered by {answer!r}, no block")
            return answer

    def clear(self) -> None:
        """Count."""
        self._check_open("device clear")
        self.cleared += 1

    def reopen(self) -> None:
        """Count; be open."""
        self.reopened += 1
        self.closed = False

    def close(self) -> None:
        """Refuse everything from now on."""
        self.closed = True

    def _answer(self, command: str) -> str | bytes:
        answer = self.answers.get(command)
        if answer is None:
            raise LinkTimeout(f"{self.name}: no answer to {command!r} is in the script")
        if isinstance(answer, Exception):
            raise answer
        return answer(command) if callable(answer) else answer

    def _exchange(self, command: str) -> "_Exchange":
        self._check_open(command)
        if not self._busy.acquire(blocking=False):
            raise AssertionError(f"{command!r} was sent in the middle of another exchange: {self.sent[-1]!r}")
        self.sent.append(command)
        if not self._open.is_set():
            self.held.set()
            self._open.wait(10)
        return _Exchange(self._busy)

    def _check_open(self, command: str) -> None:
        if self.closed:
            raise LinkError(f"{self.name}: {command!r} not sent: the connection is closed")


class _Exchange:
    def __init__(self, busy: threading.Lock) -> None:
        self._busy = busy

    def __enter__(self) -> None:
        pass

    def __exit__(self, *error: object) -> None:
        self._busy.release()


class LinkContract:
    """What every Link promises. Subclass it, and give the fixtures `link`, `silent` (a query without an answer) and `block`.

    The instrument behind `link` must answer `*IDN?`.
    """

    @pytest.fixture
    def link(self) -> Any:  # Any: fixtures may yield
        """Return an open link."""
        raise NotImplementedError

    @pytest.fixture
    def silent(self) -> str:
        """Return a query that this instrument does not answer."""
        raise NotImplementedError

    def test_an_answer_comes_without_its_terminator(self, link: Link) -> None:
        answer = link.query("*IDN?")
        assert answer == answer.strip()
        assert answer.count(",") == 3

    def test_a_command_is_sent_without_waiting_for_an_answer(self, link: Link) -> None:
        link.write("*CLS")
        assert link.query("*IDN?")

    def test_a_missing_answer_is_a_timeout_that_names_the_command(self, link: Link, silent: str) -> None:
        with pytest.raises(LinkTimeout, match=silent.replace("?", r"\?")):
            link.query(silent)

    def test_after_a_missing_answer_the_next_answer_belongs_to_its_question(self, link: Link, silent: str) -> None:
        expected = link.query("*IDN?")
        with pytest.raises(LinkTimeout):
            link.query(silent)
        assert link.query("*IDN?") == expected

    def test_an_answer_that_is_no_block_is_refused_where_a_block_was_asked_for(self, link: Link) -> None:
        with pytest.raises(LinkError, match="IDN"):
            link.query_block("*IDN?")
        assert link.query("*IDN?").count(",") == 3

    def test_clearing_leaves_it_usable(self, link: Link) -> None:
        link.clear()
        assert link.query("*IDN?")

    def test_closing_twice_does_no_harm(self, link: Link) -> None:
        link.close()
        link.close()

    def test_a_closed_link_says_so(self, link: Link) -> None:
        link.close()
        with pytest.raises(LinkError, match="closed"):
            link.query("*IDN?")
