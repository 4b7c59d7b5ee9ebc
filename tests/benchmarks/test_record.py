"""What it costs to keep a point, beside the system call that it cannot do without, and a trace, beside numpy."""

import gc
import os
import time

import numpy as np
import pytest

from labnb.core import Group, OpenAxis, Point, Span, State, Variable
from labnb.record import Recorder

ROUNDS = 5
POINTS = 40_000


def best(measure):
    """Return the shortest time of some rounds: other work on the machine only ever adds."""
    gc.collect()
    return min(measure() for _ in range(ROUNDS))


def bare_write(path, size):
    """Return seconds per `os.write` of one record."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND)
    record = bytes(size)
    began = time.perf_counter()
    for _ in range(POINTS):
        os.write(descriptor, record)
    took = time.perf_counter() - began
    os.close(descriptor)
    return took / POINTS


@pytest.mark.parametrize("columns", [1, 3, 10])
def test_a_put_costs_little_more_than_the_write_it_makes(tmp_path, columns, capsys):
    group = Group(0, (OpenAxis("n", 1.0),), tuple(Variable(f"x{k}") for k in range(columns)))
    recorder = Recorder.create(tmp_path, "bench", {})
    recorder.declare(group)
    values = tuple(0.5 * k for k in range(columns))
    places = iter(range(POINTS * ROUNDS))

    def puts():
        points = [Point(0, next(places), values, 1_763_695_000_000_000_000) for _ in range(POINTS)]
        put = recorder.put
        began = time.perf_counter()
        for point in points:
            put(point)
        return (time.perf_counter() - began) / POINTS

    kept = best(puts)
    written = best(lambda: bare_write(tmp_path / "bare", 28 + 8 * columns))
    recorder.close(State.DONE)
    with capsys.disabled():
        print(
            f"\n  put {columns:2} columns {kept * 1e6:5.2f} µs   bare write {written * 1e6:5.2f} µs   ratio {kept / written:4.2f}"
        )
    assert kept < 5 * written


def test_a_trace_is_written_at_nearly_the_rate_of_numpy(tmp_path, capsys):
    trace = np.random.default_rng(1).normal(size=100_000)
    count = 40
    recorder = Recorder.create(tmp_path, "bench", {})
    recorder.declare(Group(0, (OpenAxis("n", 1.0),), (Variable("trace", "V", "<f8", (Span("k", trace.size),)),)))
    places = iter(range(count * ROUNDS))

    def puts():
        began = time.perf_counter()
        for _ in range(count):
            recorder.put(Point(0, next(places), (trace,), 1))
        recorder.flush()
        return time.perf_counter() - began

    def plain():
        began = time.perf_counter()
        with (tmp_path / "plain").open("wb") as file:
            for _ in range(count):
                trace.tofile(file)
            os.fsync(file.fileno())
        return time.perf_counter() - began

    ours, numpys = best(puts), best(plain)
    recorder.close(State.DONE)
    rate = count * trace.nbytes / 1e6
    with capsys.disabled():
        print(
            f"\n  traces {rate / ours:6.0f} MB/s   numpy.tofile and fsync {rate / numpys:6.0f} MB/s   {numpys / ours:4.0%}"
        )
    assert ours < 5 * numpys
