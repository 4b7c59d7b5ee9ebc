"""What can go wrong between a computer and an instrument, and when it does."""

import random
import re
from dataclasses import dataclass
from typing import Literal, final, get_args

FaultKind = Literal["disconnect", "drop", "duplicate", "garbage", "reboot", "slow", "timeout", "truncate"]
"""What can go wrong; see `Fault`."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One planned fault.

    | kind | what happens to a message that it strikes |
    |---|---|
    | `disconnect` | the plug is pulled before it arrives; `Bench.reconnect` puts it back |
    | `drop` | it never arrives; a query then times out, a setting is lost in silence |
    | `duplicate` | its answer comes twice |
    | `garbage` | its answer is as long, but random bytes before the terminator |
    | `reboot` | the instrument loses its power before it arrives, and is back after `delay_s`, with settings as after `*RST`, no errors, and bit 7 (power on) of `*ESR?` |
    | `slow` | its answer comes `delay_s` later |
    | `timeout` | a query is executed but its answer never comes; sending a setting itself times out |
    | `truncate` | the second half of its answer, with terminator and END, is missing: the read times out |

    How a lost connection shows depends on the interface: see `labnb.sim.interface`.

    It strikes messages in which the regular expression `match` is found (case does not matter), lets the first
    `after` of them pass, and strikes `times` times (None: for ever), each with probability `chance`.
    """

    kind: FaultKind
    match: str = ""
    after: int = 0
    times: int | None = 1
    delay_s: float = 1.0
    chance: float = 1.0

    def __post_init__(self) -> None:
        if self.kind not in get_args(FaultKind):
            raise ValueError(f"no fault is called {self.kind!r}; there are {', '.join(get_args(FaultKind))}")
        try:
            re.compile(self.match)
        except re.error as error:
            raise ValueError(f"match={self.match!r} is not a regular expression: {error}") from error
        if self.after < 0 or (self.times is not None and self.times < 1):
            raise ValueError(f"after={self.after}, times={self.times}: expected after >= 0, and times >= 1 or None")
        if not self.delay_s >= 0 or not 0 <= self.chance <= 1:
            raise ValueError(f"delay_s={self.delay_s}, chance={self.chance}: expected delay_s >= 0, 0 <= chance <= 1")


@final
class FaultPlan:
    """The faults of one connection and how often each has struck."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self._armed: list[_Armed] = []

    def add(self, fault: Fault) -> None:
        """Arm `fault`."""
        self._armed.append(_Armed(fault))

    def strike(self, message: str) -> Fault | None:
        """Return the fault that strikes `message`, if one does."""
        for armed in self._armed:
            if armed.strikes(message, self._rng):
                self._armed = [each for each in self._armed if each.left != 0]
                return armed.fault
        return None

    def spoil(self, fault: Fault, answer: bytes) -> list[tuple[bytes, bool]]:
        """Return what arrives in place of `answer`, each piece with whether its end is marked."""
        if fault.kind == "timeout":
            return []
        if fault.kind == "duplicate":
            return [(answer, True), (answer, True)]
        if fault.kind == "truncate":
            return [(answer[: len(answer) // 2], False)]
        if fault.kind == "garbage":
            return [(bytes(self._rng.randrange(0x80, 0x100) for _ in answer[:-1]) + answer[-1:], True)]
        return [(answer, True)]


@final
class _Armed:
    def __init__(self, fault: Fault) -> None:
        self.fault = fault
        self.left = -1 if fault.times is None else fault.times
        self._pass = fault.after
        self._match = re.compile(fault.match, re.IGNORECASE)

    def strikes(self, message: str, rng: random.Random) -> bool:
        if not self._match.search(message):
            return False
        if self._pass > 0:
            self._pass -= 1
            return False
        if self.fault.chance < 1 and rng.random() >= self.fault.chance:
            return False
        self.left -= 1
        return True
