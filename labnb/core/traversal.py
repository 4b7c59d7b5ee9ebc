"""In which order the values of an axis are visited."""

import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from itertools import chain


class Traversal(StrEnum):
    """In which order the values of an axis are visited. They are stored in the order in which they were given.

    ```
    straight          0 1 2 | 0 1 2 | ...
    snake             0 1 2 | 2 1 0 | ...         back and forth, from one pass of the outer loop to the next
    shuffled          2 0 1 | 1 2 0 | ...         each pass in an order of its own, decided by the seed
    there and back    0 1 2 2 1 0 | ...           one more dimension in front: `direction`, forward and backward
    ```
    """

    STRAIGHT = "straight"
    SNAKE = "snake"
    SHUFFLED = "shuffled"
    THERE_AND_BACK = "there and back"


@dataclass(frozen=True, slots=True)
class Visit:
    """An order, and the seed that decides a shuffled one."""

    traversal: Traversal = Traversal.STRAIGHT
    seed: int = 0

    def places(self, size: int, turn: int) -> Iterable[int]:
        """Return the places of `size` values in the order of pass number `turn` (0, 1, ...) of their loop.

        There and back has 2 * size places: those of the way forward, then those of the way back.
        """
        if self.traversal is Traversal.SNAKE and turn % 2:
            return range(size - 1, -1, -1)
        if self.traversal is Traversal.SHUFFLED:
            return _shuffled(size, f"{self.seed}/{turn}")
        if self.traversal is Traversal.THERE_AND_BACK:
            return chain(range(size), range(2 * size - 1, size - 1, -1))
        return range(size)


def _shuffled(size: int, seed: str) -> Iterator[int]:
    """Yield 0 … size-1 in a random order; a step at a time, since a million of them would stall a loop for a second."""
    number, places = random.Random(seed).random, list(range(size))  # noqa: S311  an order, not a secret
    for last in range(size - 1, -1, -1):
        chosen = int(number() * (last + 1))
        places[chosen], places[last] = places[last], places[chosen]
        yield places[last]


AS_GIVEN = Visit()
"""One value after the other, as they were given."""
