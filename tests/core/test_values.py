"""Lifecycle, JSON and errors: small tables that everything relies on."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import labnb.core
from labnb.core import Event, LabnbError, LifecycleError, Sink, State, Variable, step, to_jsonable
from labnb.core import errors as error_module


def follow(*events: Event) -> State:
    state = State.CREATED
    for event in events:
        state = step(state, event)
    return state


@pytest.mark.parametrize(
    ("events", "state"),
    [
        ("start", "running"),
        ("start pause", "paused"),
        ("start pause pause resume resume", "running"),
        ("start pause stop stop", "stopping"),
        ("start close complete", "done"),
        ("start stop close halt", "stopped"),
        ("start close stop complete", "done"),
        ("start pause close cancel", "cancelled"),
        ("close fail", "failed"),
    ],
)
def test_events_lead_from_state_to_state(events, state):
    assert follow(*(Event(word) for word in events.split())) == state


@given(st.lists(st.sampled_from(Event)))
def test_nothing_follows_an_end_and_no_end_comes_without_closing(events):
    state, states = State.CREATED, [State.CREATED]
    for event in events:
        try:
            state = step(state, event)
        except LifecycleError:
            continue
        states.append(state)
    ended = [k for k, s in enumerate(states) if s.ended]
    assert len(ended) <= 1
    for k in ended:
        assert k == len(states) - 1
        assert states[k - 1] is State.CLOSING


def test_an_event_that_cannot_happen_says_what_can():
    with pytest.raises(LifecycleError, match=r"cannot pause a run that is created \(possible: close, start\)"):
        step(State.CREATED, Event.PAUSE)
    with pytest.raises(LifecycleError, match="has ended"):
        step(State.DONE, Event.RESUME)


nested = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.complex_numbers()
    | st.binary()
    | st.dates(),
    lambda inner: (
        st.lists(inner)
        | st.dictionaries(st.text() | st.integers(), inner)
        | st.tuples(inner, inner)
        | st.sets(st.integers())
    ),
    max_leaves=20,
)


@given(nested)
def test_everything_becomes_strict_json(value):
    json.loads(json.dumps(to_jsonable(value), allow_nan=False))


def test_json_forms_are_those_promised():
    assert to_jsonable(float("nan")) == "NaN"
    assert to_jsonable(-float("inf")) == "-Infinity"
    assert to_jsonable(1 + 2j) == {"real": 1.0, "imag": 2.0}
    assert to_jsonable(datetime(2026, 1, 2, tzinfo=UTC)) == "2026-01-02T00:00:00+00:00"
    assert to_jsonable(timedelta(minutes=1)) == 60.0
    assert to_jsonable(Path("a") / "b") == "a/b"
    assert to_jsonable({1: np.arange(2), "x": np.float32(0.5)}) == {"1": [0, 1], "x": 0.5}
    assert to_jsonable(State.DONE) == "done"
    assert to_jsonable(Variable("x"))["dtype"] == "<f8"
    loop: list[object] = []
    loop.append(loop)
    json.dumps(to_jsonable(loop))


def test_every_error_is_a_labnb_error_and_public():
    classes = [e for e in vars(error_module).values() if isinstance(e, type) and issubclass(e, Exception)]
    assert len(classes) > 10
    for error in classes:
        assert issubclass(error, LabnbError)
        assert error.__name__ in error_module.__doc__
        assert getattr(labnb.core, error.__name__) is error


def test_public_names_are_sorted_and_real():
    assert labnb.core.__all__ == sorted(labnb.core.__all__)
    assert all(hasattr(labnb.core, name) for name in labnb.core.__all__)
    assert issubclass(Sink, object)
