"""How it is proved that the next answer will be that of the next question: questions and verdicts, no traffic.

    *ESE 17;*ESE?;*ESE 202;*ESE?;*ESE 128;*STB?;*ESE 0     the question, with two numbers drawn for this time
    17;202;0                                              the only answer that proves it

No other question has this answer, and no earlier one. The last command puts the mask back, whatever becomes of the
answer. With mask 128 the summary bit of `*STB?` says whether the instrument was switched on since its event register
was last read; unlike `*ESR?` this reads nothing that somebody else waits for (IEEE 488.2, 11.4 to 11.5).
"""

import re
from dataclasses import dataclass
from random import Random

GREETING = "*ESE?;*ESR?"
"""What is asked at first: the mask that is to be put back; reading the events forgets the last switching on."""

_EVENT_SUMMARY = 32
_NUMBER = r"\+?(\d{1,3})"


@dataclass(frozen=True, slots=True)
class Proof:
    """One question, for an instrument of IEEE 488.2, whose answer nobody can have given before."""

    first: int
    second: int
    mask: int
    """What `*ESE` was, and shall be again."""

    @classmethod
    def draw(cls, random: Random, mask: int) -> "Proof":
        """Return a proof with two fresh numbers."""
        return cls(random.randrange(1, 255), random.randrange(1, 255), mask)

    @property
    def question(self) -> str:
        """What is sent."""
        return f"*ESE {self.first};*ESE?;*ESE {self.second};*ESE?;*ESE 128;*STB?;*ESE {self.mask}"

    def holds(self, answer: str) -> bool:
        """Return whether `answer` is this question's."""
        numbers = _numbers(answer, 3)
        return numbers is not None and numbers[:2] == (self.first, self.second)

    def switched_on(self, answer: str) -> bool:
        """Return whether the instrument has been switched on since it was greeted, going by an answer that holds."""
        numbers = _numbers(answer, 3)
        return numbers is not None and bool(numbers[2] & _EVENT_SUMMARY)


def mask_in_greeting(answer: str) -> int | None:
    """Return the mask in an answer to GREETING; None if this is no instrument of IEEE 488.2."""
    numbers = _numbers(answer, 2)
    return None if numbers is None else numbers[0]


def mask_set_by(command: str) -> int | None:
    """Return what the last `*ESE` in `command` sets the mask to; None if it does not, or as no plain number."""
    found = re.findall(r"\*ESE\s+\+?(\d{1,3})(?:\.0*)?\s*(?:;|$)", command, re.IGNORECASE)
    return int(found[-1]) & 255 if found else None


def same_instrument(one: str, other: str) -> bool:
    """Return whether two answers to `*IDN?` name the same maker, model and serial number; the firmware may change."""
    return _who(one) == _who(other)


def _who(identity: str) -> list[str]:
    return [field.strip() for field in identity.split(",")][:3]


def _numbers(answer: str, count: int) -> tuple[int, ...] | None:
    found = re.fullmatch(";".join([_NUMBER] * count), answer.strip())
    return tuple(map(int, found.groups())) if found else None
