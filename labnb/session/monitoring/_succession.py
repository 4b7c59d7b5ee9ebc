"""Goes on in a new part when the one that is written has become long, while entries come."""

import threading
from collections.abc import Callable, Mapping, Sequence

from labnb.core import LabnbError, State
from labnb.record import open_run
from labnb.session.monitoring._parts import LivePart, Part, StoredPart

Describe = Callable[[], Mapping[str, object]]
Make = Callable[[Mapping[str, object]], LivePart]
Tell = Callable[[str], None]


class Succession:
    """The parts of a session that one object has: those that have ended, and the one that is written, last.

    Whoever writes holds `lock` from asking for the part until the entry is in it. A new part is made, and the full one
    brought to its end, in a thread: both force files to the disk, which entries do not wait for.
    """

    def __init__(self, describe: Describe, make: Make, tell: Tell) -> None:
        """`make` begins a new part with what `describe` returns; `tell` says what went wrong."""
        self.past: list[StoredPart] = []
        self.live: LivePart | None = None
        self.lock = threading.RLock()
        self._ending: list[LivePart] = []
        self._describe, self._make, self._tell = describe, make, tell
        self._thread: threading.Thread | None = None

    def parts(self) -> Sequence[Part]:
        """Return all parts, oldest first."""
        with self.lock:
            return [*self.past, *self._ending, *([] if self.live is None else [self.live])]

    def begin(self) -> LivePart:
        """Begin a part and return it. Raises RecordError."""
        self.live = self._make(self._describe())
        return self.live

    def look(self) -> None:
        """Have a part that is full be followed by a new one, soon."""
        if self.live is not None and self.live.full and self._thread is None:
            self.live.full = False  # it says so again, if there can be no new one
            self._thread = threading.Thread(target=self._succeed, args=(self.live,), name="labnb next part")
            self._thread.start()

    def end(self, state: State) -> StoredPart | None:
        """Bring the part that is written to its end; return it, None if there is none. Raises RecordError."""
        thread = self._thread
        if thread is not None:
            thread.join()
        live, self.live = self.live, None
        if live is None:
            return None
        live.close(state)
        self.past.append(StoredPart(open_run(live.path)))
        return self.past[-1]

    def _succeed(self, before: LivePart) -> None:
        try:
            described = dict(self._describe())
            following = self._make(described)
            with self.lock:
                if self._describe() != described:
                    following.describe(self._describe())
                self._ending.append(before)
                self.live = following
            before.close(State.DONE)
            ended = StoredPart(open_run(before.path))
            with self.lock:
                self._ending.remove(before)
                self.past.append(ended)
        except LabnbError as error:
            self._tell(f"the session goes on, but not in a new part as it should: {error}")
        finally:
            self._thread = None
