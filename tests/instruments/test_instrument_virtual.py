"""Instruments made of functions, and what every instrument shows of itself."""

import json
import threading
from concurrent import futures
from functools import partial

import numpy as np
import pytest

from labnb.core import InstrumentError, LimitError, LinkError, LinkTimeout
from labnb.instruments import Arrays, Enum, Instrument, Numbers, Parameter, Switch
from labnb.testing.links import ScriptedLink


# fmt: off
# As the reference document prints them: only where `Instrument` comes from is another place.
class MyInstrument(Instrument):

    def __init__(self, name, **kwargs):
        super().__init__(name, **kwargs)
        self.x=0
        self.add_parameter('x',  get_cmd=self.getx, set_cmd=self.setx)

    def getx(self):
        return self.x

    def setx(self, val):
        self.x=val


class Meta(Instrument):
    shared_kwargs = ['instruments']  # noqa: RUF012

    def __init__(self, name, instruments=(), **kwargs):
        super().__init__(name, **kwargs)
        self._instrument_list = instruments
        self.no_instruments = len(instruments)
        for gate in range(len(self._instrument_list)):
            self.add_parameter('c%d' % gate,  # noqa: UP031
                               get_cmd=partial(self._get, gate=gate),
                               set_cmd=partial(self._set, gate=gate))

        self.add_parameter("setBoth", set_cmd=partial(self._set_both))
        self.add_parameter("setBothAsync", set_cmd=partial(self._set_async))

    def _set_both(self, value):
        for i in self._instrument_list:
            i.set('x', value)

    def _set_async(self, value):
        with futures.ThreadPoolExecutor(max_workers=self.no_instruments) as executor:
            jobs = []
            for i in self._instrument_list:
                job = executor.submit(partial(i.set, 'x'), value)
                jobs.append(job)
            futures.wait(jobs)

    def _get(self, gate):
        return self._instrument_list[gate].get('x')

    def _set(self, value, gate):
        i = self._instrument_list[gate]
        i.set('x', value)
# fmt: on


@pytest.fixture
def one():
    one = MyInstrument("one")
    yield one
    one.close()


@pytest.fixture
def bench():
    bases = [MyInstrument(name=name, server_name="foo") for name in ("one", "two")]
    meta = Meta(name="meta", server_name="meta_server", instruments=bases)
    yield meta, *bases
    for instrument in (meta, *bases):
        instrument.close()


def test_the_documents_instrument_is_set_and_asked(one: MyInstrument):
    one.x.set(1)
    assert one.x.get() == 1
    one.set("x", 2)
    assert one.get("x") == 2
    assert one.getx() is one.x or one.x.cached == 2
    assert one.parameters["x"] is one.x
    assert str(one.x.get()) == "2"


async def test_the_documents_instrument_is_awaited(one: MyInstrument):
    await one.x.set(25)
    assert await one.x.get() == 25
    assert await one.get("x") == 25


def test_the_documents_meta_instrument_gives_what_it_prints(bench):
    meta, base0, base1 = bench
    meta.c1.set(25)
    assert str(meta.c1.get()) == "25"
    assert str(base1.x.get()) == "25"
    base1.x.set(1)
    assert meta.c1.get() == 1
    meta.setBoth(0)
    assert (base0.x.get(), base1.x.get()) == (0, 0)
    meta.setBothAsync(7)
    assert (base0.x.get(), base1.x.get()) == (7, 7)


async def test_the_documents_meta_instrument_is_awaited(bench):
    meta, base0, _ = bench
    await meta.setBoth.set(3)
    value = await meta.c0.get()
    assert (type(value), value) == (int, 3)
    assert await base0.x.get() == 3


def test_a_limit_of_a_member_holds_through_the_meta_instrument(bench):
    meta, _, base1 = bench
    base1.x.limit((0, 3.3))
    for way in (lambda: meta.c1.set(5), lambda: meta.setBoth(5), lambda: base1.set("x", 5)):
        with pytest.raises(LimitError, match=r"two\.x = 5 is outside of its safety limit"):
            way()
    assert base1.x.get() == 0


def test_what_a_driver_keeps_under_the_name_is_its_own_inside_its_functions_only(one: MyInstrument):
    one.x.set(3)
    assert one._own["x"] == 3
    with pytest.raises(AttributeError, match=r"use one.x.set\(5\)"):
        one.x = 5
    assert one.x.get() == 3


def test_functions_run_in_the_lane():
    seen = []
    virtual = Instrument("virtual")
    virtual.add_parameter("x", get_cmd=lambda: seen.append(threading.current_thread().name) or 1.0)
    virtual.x.get()
    assert seen == ["labnb lane virtual"]
    virtual.close()


@pytest.mark.parametrize("name", ["x", "lane", "known", "parameters", "make_safe", "query", "add_parameter", "getx"])
def test_a_name_that_exists_is_refused(one: MyInstrument, name):
    with pytest.raises(InstrumentError, match=rf"one.{name} exists already.*another name"):
        one.add_parameter(name, get_cmd=lambda: 1)


@pytest.mark.parametrize("name", ["", "a b", "class", "_x", "1x"])
def test_a_name_that_python_cannot_write_is_refused(one: MyInstrument, name):
    with pytest.raises(InstrumentError, match="name that Python can write"):
        one.add_parameter(name, get_cmd=lambda: 1)


def test_a_declared_parameter_is_not_added_again():
    oven = Oven(ScriptedLink(), name="oven")
    with pytest.raises(InstrumentError, match=r"oven.setpoint exists already \(a parameter\)"):
        oven.add_parameter("setpoint", get_cmd="X?")
    oven.close()


async def test_a_parameter_may_be_added_with_commands():
    gate = Instrument(ScriptedLink({"VOLT?": "2.5", "MODE?": "FAST"}), name="gate")
    volt = gate.add_parameter(
        "volt", "VOLT?", "VOLT {:.3f}", vals=Numbers(0, 10), unit="V", docstring="Voltage of the gate"
    )
    mode = gate.add_parameter("mode", "MODE?", vals=Enum("FAST", "SLOW"))
    assert await volt.get() == 2.5
    assert await mode.get() == "FAST"
    await volt.set(3)
    assert "VOLT 3.000" in gate.link.sent
    assert volt is gate.volt
    assert "Voltage of the gate (V)" in gate.volt.__doc__
    for refused in (11, "5 A", None):
        with pytest.raises(LimitError):
            volt.set(refused)
    volt.limit((0, 5))
    with pytest.raises(LimitError):
        gate.write("VOLT 6")
    with pytest.raises(AttributeError, match="only be read"):
        mode.set("SLOW")
    gate.close()


def test_a_parser_turns_an_answer_into_what_it_means():
    gate = Instrument(ScriptedLink({"VOLT?": "2.5 V"}), name="gate")
    gate.add_parameter("volt", "VOLT?", get_parser=lambda text: text.removesuffix(" V"))
    assert gate.volt.get() == 2.5
    gate.close()


def test_without_commands_a_parameter_keeps_what_it_is_set_to():
    note = Instrument("note")
    note.add_parameter("attenuation", unit="dB", vals=Numbers(0, 60))
    with pytest.raises(InstrumentError, match="no value yet"):
        note.attenuation.get()
    note.attenuation.set(20)
    note.forget()
    assert note.attenuation.get() == 20
    note.close()


def test_functions_must_be_plain():
    async def read():
        return 1

    def disguised():
        return read()

    virtual = Instrument("virtual")
    with pytest.raises(InstrumentError, match="plain function"):
        virtual.add_parameter("x", get_cmd=read)
    virtual.add_parameter("y", get_cmd=disguised)
    with pytest.raises(InstrumentError, match="coroutine"):
        virtual.y.get()
    virtual.close()


def test_a_virtual_instrument_says_that_nothing_can_be_sent(one: MyInstrument):
    with pytest.raises(LinkError, match=r"one: 'VOLT 1' cannot be sent: this instrument has no connection"):
        one.write("VOLT 1")
    one.make_safe()
    assert "MyInstrument" in repr(one)


def test_limits_at_construction_wait_for_the_parameter_that_the_driver_adds():
    one = MyInstrument("one", limits={"x": (0, 3.3)})
    with pytest.raises(LimitError):
        one.x.set(5)
    one.close()


class SubInstrument(MyInstrument):
    pass


def test_limits_for_nothing_are_told_at_the_first_use():
    sub = SubInstrument("sub", limits={"x": 1})
    sub.close()
    two = MyInstrument("two", limits={"y": 1})
    with pytest.raises(LimitError, match="unknown quantity to limit 'y'"):
        two.x.set(0)
    two.close()


@pytest.mark.parametrize(
    ("arguments", "options", "says"),
    [((), {}, "needs a name"), (("one",), {"name": "two"}, "one name"), (("GPIB0::3::INSTR",), {}, "is an address")],
)
def test_an_instrument_needs_one_name(arguments, options, says):
    with pytest.raises(InstrumentError, match=says):
        Instrument(*arguments, **options)


def test_a_wrong_attribute_is_an_attribute_error(one: MyInstrument):
    with pytest.raises(AttributeError, match="has no 'setpiont'"):
        one.setpiont  # noqa: B018
    assert not hasattr(one, "__array__")


# ---- what it shows


class Oven(Instrument):
    """A stage that can be heated."""

    setpoint = Parameter("SETP {:.3f}", "SETP?", unit="K", within=(4.0, 300.0), doc="Target <of> the stage")
    mode = Parameter("MODE {}", "MODE?", vals=Enum("FAST", "SLOW"))
    trace = Parameter(get="CURV?", vals=Arrays(), unit="V")
    remote = Parameter("REM {:g}")
    heater = Switch("OUTP ON", "OUTP OFF", "OUTP?")


@pytest.fixture
def oven():
    answers = {"SETP?": "295", "MODE?": "SLOW", "CURV?": ",".join(["1"] * 500), "OUTP?": "1"}
    oven = Oven(ScriptedLink(answers), name="oven", address="GPIB0::9::INSTR", limits={"setpoint": (None, 200)})
    oven.link.sent.clear()
    yield oven
    oven.close()


def test_a_snapshot_lists_every_parameter_and_is_json(oven: Oven):
    snapshot = oven.snapshot()
    assert oven.link.sent == []
    assert list(snapshot["values"]) == ["setpoint", "mode", "trace", "remote", "heater"]
    assert snapshot["values"]["setpoint"] == {"value": None, "unit": "K"}
    assert snapshot["limits"] == {"setpoint": (None, 200)}
    assert snapshot["identity"]["model"] == "SCRIPTED"
    json.dumps(snapshot, allow_nan=False)


def test_an_updated_snapshot_asks_for_everything_in_one_batch(oven: Oven):
    snapshot = oven.snapshot(update=True)
    assert oven.link.sent == ["SETP?", "MODE?", "CURV?", "OUTP?"]
    values = snapshot["values"]
    assert (values["setpoint"]["value"], values["mode"]["value"], values["heater"]["value"]) == (295, "SLOW", True)
    assert values["trace"]["array"] == {"shape": [500], "min": 1, "max": 1}
    json.dumps(snapshot, allow_nan=False)


async def test_an_updated_snapshot_may_be_awaited(oven: Oven):
    snapshot = await oven.snapshot(update=True)
    assert snapshot["values"]["mode"]["value"] == "SLOW"
    assert (await oven.snapshot())["values"] == snapshot["values"]


def test_a_snapshot_that_cannot_be_read_says_which_question_failed(oven: Oven):
    oven.link.answers["MODE?"] = LinkTimeout("oven: no answer to 'MODE?'")
    with pytest.raises(LinkTimeout, match="MODE"):
        oven.snapshot(update=True)


def test_a_snapshot_shows_ramps_interlocks_and_what_is_not_finite(oven: Oven):
    oven.setpoint.limit(max_rate=2).interlock(bool, "close the lid")
    oven.link.answers["SETP?"] = "NAN"
    snapshot = oven.snapshot(update=True)
    assert snapshot["ramps"] == {"setpoint": {"max_step": None, "max_rate": 2}}
    assert snapshot["interlocks"] == {"setpoint": ["close the lid"]}
    json.dumps(snapshot, allow_nan=False)


def test_the_table_shows_values_units_limits_and_is_escaped(oven: Oven):
    oven.name = "<oven>"
    oven.snapshot(update=True)
    oven.setpoint.limit(max_step=5).interlock(bool, "close <b>the lid")
    page = oven._repr_html_()
    for text in ("295 K", "SLOW", "array of shape (500,)", "-inf to 200 K", "steps of 5", "close &lt;b&gt;the lid"):
        assert text in page
    assert "Target &lt;of&gt; the stage" in page
    assert "<oven>" not in page
    assert "not read" in page


def test_the_table_takes_its_colours_from_the_page(oven: Oven):
    page = oven._repr_html_()
    assert "color:inherit" in page
    assert "#" not in page


def test_a_numpy_value_is_known_as_a_number(oven: Oven):
    oven.setpoint.set(np.float64(100))
    assert type(oven.setpoint.cached) is float
