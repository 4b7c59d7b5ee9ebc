"""Which states a run passes through, and which event leads from one to the next.

```
created ─start→ running ⇄ paused          pause / resume
                   │         │
                   ├──stop───┴─→ stopping
                   └──close (from each of the three)─→ closing ─→ done | stopped | failed | cancelled
```
"""

from enum import StrEnum

from labnb.core.errors import LifecycleError


class State(StrEnum):
    """Where a run is. `closing` makes instruments safe and seals the data; those after it are final.

    No event leads to `interrupted`: it is what a later process finds when the one that measured has died.
    """

    CREATED = "created"
    RUNNING = "running"
    PAUSED = "paused"
    STOPPING = "stopping"
    CLOSING = "closing"
    DONE = "done"
    STOPPED = "stopped"
    FAILED = "failed"
    CANCELLED = "cancelled"
    INTERRUPTED = "interrupted"

    @property
    def ended(self) -> bool:
        """Whether nothing follows any more."""
        return self in _ENDED

    @property
    def active(self) -> bool:
        """Whether points may still come."""
        return self in (State.RUNNING, State.PAUSED, State.STOPPING)


_ENDED = frozenset({State.DONE, State.STOPPED, State.FAILED, State.CANCELLED, State.INTERRUPTED})


class Event(StrEnum):
    """What happens to a run."""

    START = "start"
    PAUSE = "pause"
    RESUME = "resume"
    STOP = "stop"
    CLOSE = "close"
    COMPLETE = "complete"
    HALT = "halt"
    FAIL = "fail"
    CANCEL = "cancel"


_TABLE: dict[tuple[State, Event], State] = {
    (State.CREATED, Event.START): State.RUNNING,
    (State.CREATED, Event.CLOSE): State.CLOSING,
    (State.RUNNING, Event.PAUSE): State.PAUSED,
    (State.RUNNING, Event.RESUME): State.RUNNING,
    (State.RUNNING, Event.STOP): State.STOPPING,
    (State.RUNNING, Event.CLOSE): State.CLOSING,
    (State.PAUSED, Event.PAUSE): State.PAUSED,
    (State.PAUSED, Event.RESUME): State.RUNNING,
    (State.PAUSED, Event.STOP): State.STOPPING,
    (State.PAUSED, Event.CLOSE): State.CLOSING,
    (State.STOPPING, Event.STOP): State.STOPPING,
    (State.STOPPING, Event.CLOSE): State.CLOSING,
    (State.CLOSING, Event.STOP): State.CLOSING,
    (State.CLOSING, Event.COMPLETE): State.DONE,
    (State.CLOSING, Event.HALT): State.STOPPED,
    (State.CLOSING, Event.FAIL): State.FAILED,
    (State.CLOSING, Event.CANCEL): State.CANCELLED,
}


def step(state: State, event: Event) -> State:
    """Return the state that follows. Raises LifecycleError if `event` cannot happen in `state`."""
    try:
        return _TABLE[state, event]
    except KeyError:
        allowed = sorted(e for s, e in _TABLE if s is state)
        what = f"possible: {', '.join(allowed)}" if allowed else "it has ended; start a new run"
        raise LifecycleError(f"cannot {event} a run that is {state} ({what})") from None
