"""Quantum dots against their model, and the bench that shows them."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labnb.sim import dots_bench
from labnb.sim.quantum_dots import Dot, DoubleDot, Drift


@given(st.integers(1, 9), st.floats(0.1, 0.85))
def test_a_dot_is_blocked_inside_of_a_diamond_and_open_outside(number, part):
    dot = Dot()
    middle = number * dot.gate_period_v
    tip = dot.charging_mev / 1e3  # V of bias at which the diamond of a whole number ends
    open_current = dot.current(middle, 1.2 * tip)
    assert abs(dot.current(middle, part * tip)) < 0.01 * open_current
    assert dot.current(middle, -1.2 * tip) == pytest.approx(-open_current)


@given(st.integers(1, 9))
def test_a_dot_conducts_between_two_numbers_at_the_least_bias(number):
    dot = Dot()
    between = (number + 0.5) * dot.gate_period_v
    assert dot.current(between, 1e-4) > 1e3 * abs(dot.current(number * dot.gate_period_v, 1e-4))
    assert dot.current(between, 0.0) == pytest.approx(0.0, abs=1e-20)


@given(st.floats(0.0, 0.4), st.floats(0.0, 0.4), st.floats(0.0, 0.1))
def test_more_on_a_gate_never_drives_electrons_away_in_sum(first, second, more):
    pair = DoubleDot()
    assert sum(pair.electrons((first + more, second))) >= sum(pair.electrons((first, second))) - 1e-9


def test_gates_fill_their_dots_one_by_one():
    pair = DoubleDot()
    numbers = [round(pair.electrons((k * 1e-3, 0.0))[0]) for k in range(401)]
    assert sorted(set(numbers)) == list(range(11))
    assert numbers == sorted(numbers)
    assert pair.electrons((-0.5, -0.5)) == (pytest.approx(0.0, abs=1e-3), pytest.approx(0.0, abs=1e-3))


def test_drift_is_slow_repeatable_and_as_large_as_said():
    drift = Drift("seed", 1e-3)
    samples = [drift.at(now * 0.37) for now in range(20_000)]
    assert samples == [Drift("seed", 1e-3).at(now * 0.37) for now in range(20_000)]
    assert (sum(sample**2 for sample in samples) / len(samples)) ** 0.5 == pytest.approx(1e-3, rel=0.1)
    assert abs(drift.at(0.001) - drift.at(0.0)) < 2e-5


@pytest.fixture
def ask():
    bench = dots_bench(clock="skip", seed=1)

    def exchange(name: str, message: str) -> str:
        port = bench.port(name)
        port.send(message.encode(), end=True, timeout_s=1.0)
        if "?" not in message:
            return ""
        return port.receive(1000, timeout_s=10.0, termination=None)[0].decode().strip()

    return exchange


def test_the_bench_shows_blockade_and_current(ask):
    ask("dmm", "CONF:VOLT 1;:VOLT:NPLC 1")
    ask("gates", "VOLT 0.12,(@1);:VOLT 1,(@3)")
    assert abs(float(ask("dmm", "READ?"))) < 1e-3
    ask("gates", "VOLT 0.14,(@1)")
    assert float(ask("dmm", "READ?")) == pytest.approx(0.16, rel=0.1)
    ask("gates", "VOLT -1,(@3)")
    assert float(ask("dmm", "READ?")) == pytest.approx(-0.16, rel=0.1)


def test_the_sensor_steps_when_an_electron_comes(ask):
    ask("sensor", "CONF:VOLT 10;:VOLT:NPLC 1")
    seen = []
    for millivolts in range(10, 50, 2):
        ask("gates", f"VOLT {millivolts / 1000},(@1)")
        seen.append(float(ask("sensor", "READ?")))
    steps = [after - before for before, after in itertools.pairwise(seen)]
    assert min(steps) < -0.008
    assert sum(step < -0.003 for step in steps) <= 3


def test_a_gate_goes_to_its_voltage_with_its_slope(ask):
    ask("gates", "VOLT:SLEW 0.1,(@2)")
    ask("gates", "VOLT 1,(@2)")
    assert 0.0 <= float(ask("gates", "MEAS:VOLT? (@2)")) < 0.01
    assert ask("gates", "VOLT? (@2)") == "+1.00000000E+00"


def test_two_equal_runs_give_equal_maps():
    def run() -> list[str]:
        bench = dots_bench(clock="skip", seed=5)
        answers = []
        for millivolts in range(0, 100, 7):
            bench.port("gates").send(f"VOLT {millivolts / 1000},(@1,2)".encode(), end=True, timeout_s=1.0)
            bench.port("sensor").send(b"READ?", end=True, timeout_s=1.0)
            answers.append(bench.port("sensor").receive(1000, timeout_s=10.0, termination=None)[0])
        return answers

    assert run() == run()
