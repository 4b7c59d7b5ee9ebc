"""Which instruments a body can reach: those are made safe when its run ends."""

import ast
import functools
from types import SimpleNamespace

import pytest

from labnb.instruments import Instrument, demo
from labnb.notebook.reachable import find_instruments, used_parts
from labnb.sim import demo_bench, register


class Slotted:
    __slots__ = ("missing", "psu")

    def __init__(self, psu):
        self.psu = psu


class Holder:
    def __init__(self, held):
        self.held = held


@pytest.fixture(scope="module")
def bench():
    register("reach", demo_bench(clock="skip"))
    instruments = demo("reach")
    yield instruments
    for instrument in (instruments.psu, instruments.dmm, instruments.oven):
        instrument.close()


def in_a_function(psu):
    notebook = {"psu": psu}
    exec("def switch():\n    return [psu.channel(k).on() for k in (1, 2)]", notebook)
    return notebook["switch"]


def as_a_default(psu):
    first = psu.channel(1)

    def switch(channel=first):
        return channel.on()

    return switch


def in_a_method(psu):
    notebook = {"psu": psu, "__name__": "__main__"}
    exec("class Device:\n    def switch(self):\n        return psu.channel(1).on()", notebook)
    return notebook["Device"]()


@pytest.mark.parametrize(
    "held",
    [
        lambda psu: psu,
        lambda psu: psu.channel(1),
        lambda psu: [psu.channel(1)],
        lambda psu: {"gate": psu.channel(1)},
        lambda psu: psu.channel(1).set,
        lambda psu: functools.partial(psu.channel(1).set, voltage=1),
        lambda psu: lambda: psu,
        as_a_default,
        lambda psu: Holder(Holder(psu.channel(1))),
        Slotted,
        in_a_function,
        in_a_method,
    ],
)
def test_an_instrument_is_found_whatever_holds_it(bench, held):
    assert list(find_instruments(("name",), {"name": held(bench.psu)})) == [bench.psu]


def test_instruments_that_the_body_does_not_name_are_left_alone(bench):
    names = {"dmm": bench.dmm, "psu": bench.psu, "demo": demo, "pytest": pytest, "wrap": functools.wraps}
    assert list(find_instruments(("dmm", "demo", "pytest", "wrap", "unknown"), names)) == [bench.dmm]


def test_of_a_bench_only_what_the_body_takes_from_it_is_used():
    psu, oven = Instrument("psu"), Instrument("oven")
    rig = SimpleNamespace(psu=psu, oven=oven, label="x")
    names = {"rig": rig, "things": {"psu": psu, "oven": oven}, "psu": psu}

    def used(source):
        wanted = tuple(name for name in names if name in source)
        return used_parts(ast.parse(source), wanted, names)

    assert used("rig.oven.go(1)\nrig.oven.rest()") == {"rig.oven": oven}
    assert used("things['oven'].go(1)") == {"things['oven']": oven}
    for whole in ("rig.oven.go(1)\nf(rig)", "rig.label", "rig.nothing"):
        assert used(whole) == {"rig": rig}
    assert used("things[k]") == {"things": names["things"]}
    assert used("psu.name") == {"psu": psu}
