"""A bench file: checked whole, opened, limited, automated, and made safe at the end."""

import asyncio

import pytest

from labnb.core import BenchFileError, InstrumentError, LimitError, LinkError, State
from labnb.instruments import live_instruments
from labnb.record import open_run
from labnb.session import Bench, Measurement
from labnb.sim import find_bench

FILE = """\
bench_name: Full
simulate: true
clock: skip
experiment: {title: T, operator: me, notes: n}
instruments:
  psu:
    profile: keysight/EDU36311A
    address: "USB0::0x2A8D::0x8F01::CN6123::INSTR"
    safety_limits: {channels: {1: {voltage: {max: 3.3}, current: {max: 0.5}}}}
  dmm: {profile: keysight/34470A, address: "TCPIP0::192.0.2.21::inst0::INSTR"}
  oven: {profile: labnb/TC100, address: "GPIB0::12::INSTR", safety_limits: {setpoint: {max: 320}}}
parts:
  dut: {part: resistor, ohms: 100 ohm}
wiring:
  - {from: psu.1, to: [dut.1, dmm.hi]}
  - {from: dut.2, to: gnd}
automation:
  pre_experiment: ["psu: output all off", "psu: write VOLT 0.25,(@2)"]
  post_experiment: ["psu: output all off", psu: reset]
traceability: {dut: {serial_number: D1}, environment: {temperature: 23.5}}
"""


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "bench.yaml"
    path.write_text(FILE)
    return path


def simulated(path):
    return find_bench(str(path))


async def test_a_bench_is_opened_used_and_left_safe(path, tmp_path):
    async with await Bench.open(path) as bench:
        assert list(bench) == ["psu", "dmm", "oven"]
        assert bench.psu is bench["psu"]
        assert bench.name == "Full"
        assert "psu" in dir(bench)
        supply = simulated(path)["psu"]
        assert supply.voltage(2) == 0.25  # done before the experiment
        async with Measurement("iv", bench=bench, store=tmp_path) as session:
            session.parameter("voltage", [1.0, 2.0], unit="V")

            @session.acquire
            async def measure(psu, dmm, ctx):
                await psu.channel(1).set(voltage=ctx["voltage"], current_limit=0.1).on()
                assert supply.output(1)
                return {"v": await dmm.measure_voltage_dc()}

            run = await session.run()
        assert not supply.output(1)
        assert not bench.psu.closed  # the session leaves the bench's instruments open
        assert run.data.v.values == pytest.approx([1.0, 2.0], abs=0.01)
        kept = open_run(run.path).metadata["bench"]
        assert kept["experiment"]["operator"] == "me"
        assert kept["traceability"]["dut"] == {"serial_number": "D1"}
    assert bench.psu.closed
    assert supply.voltage(2) == 0.0  # reset after the experiment
    assert [i for i in live_instruments() if i.name in ("psu", "dmm", "oven")] == []


async def test_limits_of_the_file_hold(path):
    async with Bench.open(path) as bench:
        with pytest.raises(LimitError, match=r"3\.3"):
            bench.psu.channel(1).set(voltage=5)
        with pytest.raises(LimitError, match=r"0\.5"):
            bench.psu.channel(1).set(current_limit=1)
        with pytest.raises(LimitError, match="320"):
            bench.oven.setpoint.set(350)
        assert simulated(path)["psu"].voltage(1) == 0.0


def test_a_script_opens_it_without_await(path):
    with Bench.open(path) as bench:
        bench.psu.channel(1).set(voltage=1.0, current_limit=0.1).on()
        assert simulated(path)["psu"].output(1)
    assert bench.psu.closed
    assert not simulated(path)["psu"].output(1)


async def test_an_unknown_instrument_is_named_with_those_that_there_are(path):
    async with Bench.open(path) as bench:
        with pytest.raises(AttributeError, match="no instrument 'pus'; it has psu, dmm, oven"):
            _ = bench.pus
        with pytest.raises(KeyError, match="it has psu, dmm, oven"):
            _ = bench["pus"]


def changed(old, new):
    assert old in FILE
    return FILE.replace(old, new)


MISTAKES = [
    (changed("bench_name: Full", "bench_nam: Full"), 1, "did you mean 'bench_name'?"),
    (changed("simulate: true", "simulate: maybe"), 2, "expected true or false"),
    (changed("operator: me", "operater: me"), 4, "did you mean 'operator'?"),
    (changed("title: T", "title: 3"), 4, "expected a text"),
    (changed("keysight/EDU36311A", "keysight/EDU36312A"), 7, "did you mean 'keysight/EDU36311A'?"),
    (changed("safety_limits: {channels", "safty_limits: {channels"), 9, "did you mean 'safety_limits'?"),
    (changed("{max: 3.3}", "{maximum: 3.3}"), 9, "did you mean 'max'?"),
    (changed("{max: 3.3}", "{min: 4, max: 3.3}"), 9, "min 4 is larger than max 3.3"),
    (changed("{max: 3.3}", "{}"), 9, "expected min, max, or both"),
    (changed("{max: 3.3}", "{max: high}"), 9, "expected a number, got 'high'"),
    (changed("{setpoint: {max: 320}}", "{setpoint: 320}"), 11, "expected keys with values"),
    (changed("  dmm: {", "  my dmm: {"), 10, "cannot be an argument's name"),
    (changed('"psu: output all off", "psu: write', '"pus: output all off", "psu: write'), 18, "did you mean 'psu'?"),
    (changed('["psu: output all off", "psu: write', '["psu: switch off", "psu: write'), 18, "is no command: expected"),
    (changed('["psu: output all off", "psu: write', '["psu: output all on", "psu: write'), 18, "say which"),
    (changed('["psu: output all off", "psu: write', '["off", "psu: write'), 18, "expected 'INSTRUMENT: COMMAND'"),
    (changed("environment: {temp", "enviroment: {temp"), 20, "did you mean 'environment'?"),
    (changed("ohms: 100 ohm", "ohms: 100 V"), 13, "ohm"),
    (changed("dut.2, to: gnd", "dut.3, to: gnd"), 16, "dut: unknown terminal '3'"),
    (changed("oven: {", "oven: {driver: os.system, "), 11, "expected 'package.module:Class'"),
    (FILE.replace("bench_name: Full", "bench_name: !!python/object/apply:os.system [ls]"), 1, "not understood"),
    (FILE + "simulate: false\n", 21, "stands already in line 2"),
    ("instruments: [1, 2\n", 2, "this is not YAML"),
]


@pytest.mark.parametrize(("text", "line", "words"), MISTAKES)
async def test_a_mistake_is_told_with_file_line_and_what_would_be_right(tmp_path, text, line, words):
    path = tmp_path / "bench.yaml"
    path.write_text(text)
    with pytest.raises(BenchFileError) as caught:
        await Bench.open(path)
    told = [each for each in str(caught.value).splitlines() if f"bench.yaml, line {line}: " in each]
    assert told, caught.value
    assert any(words in each for each in told), told
    assert [i for i in live_instruments() if i.name in ("psu", "dmm", "oven")] == []


async def test_a_limit_on_what_there_is_not_says_where_it_stands(tmp_path):
    path = tmp_path / "bench.yaml"
    path.write_text(changed("{setpoint: {max: 320}}", "{setpiont: {max: 320}}"))
    with pytest.raises(LimitError, match="did you mean 'setpoint'") as caught:
        await Bench.open(path)
    assert any("bench.yaml, line 11: oven" in note for note in caught.value.__notes__)
    assert [i for i in live_instruments() if i.name in ("psu", "dmm", "oven")] == []


async def test_hardware_that_is_not_there_is_said_and_the_others_are_closed(tmp_path):
    path = tmp_path / "bench.yaml"
    text = changed('dmm: {profile: keysight/34470A, address: "TCPIP0::192.0.2.21::inst0::INSTR"}', "")
    text = text.replace(", dmm.hi", "").replace(
        'oven: {profile: labnb/TC100, address: "GPIB0::12::INSTR"',
        'oven: {profile: labnb/TC100, simulate: false, address: "ASRL/dev/does-not-exist::INSTR"',
    )
    path.write_text(text)
    with pytest.raises(LinkError) as caught:
        await Bench.open(path)
    assert any("bench.yaml, line 11: oven" in note for note in caught.value.__notes__)
    assert [i for i in live_instruments() if i.name in ("psu", "dmm", "oven")] == []


async def test_a_command_that_the_instrument_refuses_is_named_and_everything_is_closed(tmp_path):
    path = tmp_path / "bench.yaml"
    path.write_text(changed('"psu: write VOLT 0.25,(@2)"', '"psu: write VOLTS 1"'))
    with pytest.raises(InstrumentError) as caught:
        await Bench.open(path)
    assert any("while doing 'psu: write VOLTS 1'" in note for note in caught.value.__notes__)
    assert [i for i in live_instruments() if i.name in ("psu", "dmm", "oven")] == []


async def test_a_file_that_is_not_there_is_said(tmp_path):
    with pytest.raises(BenchFileError, match=r"nowhere\.yaml cannot be read"):
        await Bench.open(tmp_path / "nowhere.yaml")


LIMITED = """\
simulate: true
clock: skip
instruments:
  load:
    profile: keysight/EL33133A
    address: "USB0::0x2A8D::0x3802::MY61001234::INSTR"
    safety_limits: {current: {max: 1}}
  awg:
    profile: keysight/EDU33212A
    address: "TCPIP0::192.0.2.22::inst0::INSTR"
    safety_limits: {channels: {1: {voltage: {min: -1, max: 1}}}}
  smu:
    profile: keithley/2400
    address: "GPIB0::24::INSTR"
    safety_limits: {voltage: {max: 2}, current: {min: -0.05, max: 0.05}}
  psu: {profile: keysight/EDU36311A, address: "USB0::0x2A8D::0x8F01::CN6123::INSTR", leave_on: true}
automation:
  post_experiment: ["psu: output all off"]
"""


async def test_limits_of_a_file_hold_for_all_of_its_instruments(tmp_path):
    (tmp_path / "bench.yaml").write_text(LIMITED)
    async with await Bench.open(tmp_path / "bench.yaml") as bench:
        for forbidden in (
            lambda: bench.load.set_load(2),
            lambda: bench.load.write("CURR 2"),
            lambda: bench.awg.channel(1).set(amplitude=1.5, offset=0.5),
            lambda: bench.awg.write("SOUR1:VOLT 3"),
            lambda: bench.smu.source_voltage(3, compliance=0.01),
            lambda: bench.smu.source_voltage(1, compliance=0.1),
            lambda: bench.smu.write("SOUR:VOLT 3"),
        ):
            with pytest.raises(LimitError):
                await forbidden()


async def test_what_a_file_switches_off_is_off_though_it_may_stay_on(tmp_path):
    (tmp_path / "bench.yaml").write_text(LIMITED)
    async with await Bench.open(tmp_path / "bench.yaml") as bench:
        await bench.psu.channel(1).on()
    assert not simulated(tmp_path / "bench.yaml")["psu"].output(1)


async def test_closing_a_bench_ends_the_run_that_uses_it_before_its_connections_are_closed(path, tmp_path):
    bench = await Bench.open(path)
    supply = simulated(path)["psu"]
    session = Measurement("iv", bench=bench, store=tmp_path)
    session.parameter("x", range(100_000))
    reached = asyncio.Event()

    @session.acquire
    async def measure(psu, x):
        await psu.channel(1).set(voltage=1.0, current_limit=0.1).on()
        if x == 3:
            reached.set()
        await asyncio.sleep(0)
        return {"y": x}

    run = session.start()
    await reached.wait()
    await bench.close()
    assert run.state is State.CANCELLED
    assert run.warnings == ()
    assert not supply.output(1)
    assert run.points >= 3


async def test_a_session_that_is_closed_leaves_what_another_ones_run_uses(path, tmp_path):
    async with await Bench.open(path) as bench:
        supply = simulated(path)["psu"]
        other, session = (
            Measurement("other", bench=bench, store=tmp_path),
            Measurement("iv", bench=bench, store=tmp_path),
        )
        session.parameter("x", range(100))

        @session.before()
        async def switch_on(psu):
            await psu.channel(1).set(voltage=1.0, current_limit=0.1).on()

        @session.acquire
        async def measure(x):
            if x == 3:
                await other.close()
            return {"on": float(supply.output(1))}

        run = await session.run()
        assert run.data.on.values.tolist() == [1.0] * 100
        assert not supply.output(1)
