"""What is done after a fault: how often, how fast, and which commands may be sent a second time. Values only."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache

ASKED_ONCE = (
    "*CAL?", "*ESR?", "*TST?", "CALibration?", "DATA:REMove?", "DIAGnostic?", "FETCh?", "R?", "STATus:OPERation?",
    "STATus:QUEStionable?", "STATus:QUEue?", "SYSTem:ERRor?", "TEST?", "TRACe:DATA:REMove?",
)  # fmt: skip
"""Queries that take something out of the instrument, or make it do something. A pattern means also what lies below it."""

HARMLESS = ("CALibration:COUNt?", "CALibration:STRing?", "SYSTem:ERRor:COUNt?")
"""What lies below those and only reads."""


@dataclass(frozen=True, slots=True)
class LinkPolicy:
    """How patiently a link deals with faults. Times in s.

    `retries`: how often a reading is asked for again. `resyncs`: how often it is tried to prove that answers belong to
    their questions before the connection is opened anew, with `resync_timeout_s` for each. `reopens`: how often that is tried; before the first time
    `backoff_s` pass, before each further one twice as much, at most `longest_backoff_s`.
    `asked_once`: queries that must not be repeated, as manuals write them (`"TRACe:POP?"`), beside those that never are.
    `poll`: where answers are messages (USB, GPIB, VXI-11) read the status byte before each question, so that an answer
    that came twice is never taken for the next question's; this costs one poll of the interface.
    `terminator`: what ends commands and answers; None: learned from the answer to `*IDN?`.
    """

    retries: int = 2
    resyncs: int = 3
    resync_timeout_s: float = 1.0
    reopens: int = 5
    backoff_s: float = 0.1
    longest_backoff_s: float = 2.0
    asked_once: tuple[str, ...] = ()
    poll: bool = True
    terminator: str | None = None

    def __post_init__(self) -> None:
        counts = {"retries": self.retries, "resyncs": self.resyncs, "reopens": self.reopens}
        for name, count in counts.items():
            least = 1 if name == "resyncs" else 0
            if isinstance(count, bool) or not isinstance(count, int) or count < least:  # pyright: ignore[reportUnnecessaryIsInstance]  people write notebooks without a checker
                raise ValueError(f"{name}={count!r}: expected a whole number, at least {least}")
        if not 0 < self.resync_timeout_s < float("inf"):
            raise ValueError(f"resync_timeout_s={self.resync_timeout_s}: expected a time above 0")
        if not 0 <= self.backoff_s <= self.longest_backoff_s < float("inf"):
            raise ValueError(
                f"backoff_s={self.backoff_s}, longest_backoff_s={self.longest_backoff_s}: expected "
                "0 <= backoff_s <= longest_backoff_s"
            )
        if self.terminator is not None and self.terminator not in ("\n", "\r", "\r\n"):
            raise ValueError(f"terminator={self.terminator!r}: expected '\\n', '\\r', '\\r\\n' or None (learn it)")
        for pattern in self.asked_once:
            _compiled(pattern)

    def pauses(self) -> Iterator[float]:
        """Yield how long to wait before each attempt to open the connection anew, in s."""
        pause = self.backoff_s
        for _ in range(self.reopens):
            yield pause
            pause = min(2 * pause, self.longest_backoff_s)

    def may_repeat(self, command: str, asked_once: Iterable[str] = ()) -> bool:
        """Return whether `command` does no more than read, so that sending it twice does what sending it once does.

        `asked_once` are a driver's own patterns. `READ?` and `MEASure?` take a new reading, which is as good.
        """
        once = (*ASKED_ONCE, *self.asked_once, *asked_once)
        return all(_only_reads(header, once) for header in headers(command))


def headers(command: str) -> list[str]:
    """Return the full headers of a program message, in capitals, without the leading colon.

    A header that follows a semicolon and has no colon of its own is read below the one before it (SCPI-99 volume 1, 6.2.4).
    """
    found: list[str] = []
    path = ""
    for unit in command.split(";"):
        words = unit.split(None, 1)
        header = words[0].upper() if words else ""
        if not header.startswith("*"):
            header = header[1:] if header.startswith(":") else path + header
            path = header[: header.rfind(":") + 1]
        found.append(header)
    return found


def _only_reads(header: str, once: tuple[str, ...]) -> bool:
    if not header.endswith("?") or any(node.startswith("INIT") for node in header.split(":")):
        return False
    bare = header[:-1]
    if any(_compiled(pattern).fullmatch(bare) for pattern in HARMLESS):
        return True
    return not any(_compiled(pattern).match(bare) for pattern in once)


@lru_cache(maxsize=1024)
def _compiled(pattern: str) -> re.Pattern[str]:
    """Return what finds `SYSTem:ERRor[:NEXT]?` and what lies below, in long and short form, with any numeric suffix."""
    text = pattern.removeprefix(":").removesuffix("?")
    if not pattern.endswith("?") or not re.fullmatch(r"\*?[\w:\[\]]+", text) or text.count("[") != text.count("]"):
        raise ValueError(f"asked_once: {pattern!r} is no query as manuals write it; expected such as 'TRACe:POP?'")
    nodes = re.sub(r"[A-Za-z_]\w*", _spellings, text.replace("*", r"\*"))
    return re.compile(nodes.replace("[", "(?:").replace("]", ")?") + r"(?=:|$)")


def _spellings(word: re.Match[str]) -> str:
    long, short = word[0].upper(), "".join(char for char in word[0] if not char.islower())
    return rf"(?:{long}|{short or long})\d*"
