"""Benches as YAML files: what they become, and what is said about mistakes in them."""

import os
import re
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
import pyvisa
from hypothesis import given, settings
from hypothesis import strategies as st

from labnb.core import BenchFileError, LinkError
from labnb.sim import (
    AWG_ADDRESS,
    CURRENT_ADDRESS,
    DMM_ADDRESS,
    GATES_ADDRESS,
    LOAD_ADDRESS,
    OVEN_ADDRESS,
    PSU_ADDRESS,
    SCOPE_ADDRESS,
    SENSOR_ADDRESS,
    SMU_ADDRESS,
    Bench,
    Capacitor,
    Diode,
    ElectronicLoad,
    GateSource,
    Generator,
    Instrument,
    Multimeter,
    Multimeter34465A,
    Oscilloscope,
    Part,
    PowerSupply,
    Resistor,
    SolarCell,
    SourceMeter,
    Thermistor,
    Thermostat,
    bench_file,
    demo_bench,
    dots_bench,
    find_bench,
    instrument_keys,
    load_bench,
    part_words,
    register_instrument,
    register_part,
)
from labnb.sim.quantity import parse_quantity, unit_of
from labnb.sim.quantum_dots import Dot, DoubleDot, Drift, Transfer
from labnb.sim.yaml_bench import BenchSchema, Document, InstrumentEntry, Wire, build, read_document, validate
from labnb.sim.yaml_bench.wiring import Wiring

GOOD = """\
bench_name: divider
clock: skip
seed: 3
instruments:
  psu: {model: keysight/EDU36311A, address: "USB0::1::2::3::INSTR"}
  dmm:
    model: keysight/34470A
    address: GPIB0::22::INSTR
  oven: {model: labnb/TC100, address: "GPIB0::12::INSTR"}
parts:
  upper: {part: resistor, ohms: 1 kohm}
  lower: {part: resistor, ohms: 3000}
  ntc: {part: thermistor, ambient: oven}
wiring:
  - {from: psu.1, to: [upper.1, ntc.1]}
  - {from: upper.2, to: [lower.1, dmm.hi]}
  - {from: lower.2, to: gnd}
  - {from: ntc.2, to: gnd}
"""


@pytest.fixture
def file(tmp_path):
    """Return a function that writes a bench file: `file(text)` returns its path."""

    def write(text, name="bench.yaml"):
        path = tmp_path / name
        path.write_text(text, encoding="utf-8")
        return path

    return write


def ask(bench, name, message):
    port = bench.port(name)
    port.send(message.encode() + b"\n", end=True, timeout_s=2.0)
    return (
        port.receive(1_000_000, timeout_s=1000.0, termination=None)[0].decode("latin-1").strip()
        if "?" in message
        else ""
    )


# --- what a file becomes ---


def test_a_file_becomes_a_bench_whose_instruments_measure_its_circuit(file):
    bench = load_bench(file(GOOD))
    assert (bench.timeline.kind, bench.seed) == ("skip", 3)
    assert [port.instrument.name for port in bench.ports] == ["psu", "dmm", "oven"]
    ask(bench, "psu", "VOLT 4,(@1);:OUTP ON,(@1)")
    assert float(ask(bench, "dmm", "MEAS:VOLT?")) == pytest.approx(3.0, rel=1e-3)  # beside the meter's 10 Mohm
    assert set(bench.parts) == {"upper", "lower", "ntc"}
    assert bench.parts["upper"].ohms == 1000.0


def test_clock_and_seed_can_be_others_than_the_files(file):
    bench = load_bench(file(GOOD), clock="real", seed=9)
    assert (bench.timeline.kind, bench.seed) == ("real", 9)


def test_a_part_follows_the_instrument_that_its_value_names(file):
    bench = load_bench(file(GOOD.replace("ambient: oven", "ambient: oven.temperature")))
    ask(bench, "psu", "VOLT 4,(@1);:OUTP ON,(@1)")
    ask(bench, "oven", "SETP 350;OUTP ON")
    bench.wait(100.0)
    ask(bench, "psu", "MEAS:CURR? (@1)")
    assert bench.parts["ntc"].kelvin == pytest.approx(350.0, abs=2.0 * 4**2 / 2e-3 / 700)


def python_demo(seed):
    bench = Bench(clock="skip", seed=seed)
    PowerSupply(bench, "psu", PSU_ADDRESS, outputs=(("psu1+", "gnd"), ("psu2+", "gnd"), ("psu3+", "gnd")))
    Multimeter(bench, "dmm", DMM_ADDRESS, voltage_input=("anode", "gnd"), current_input=("psu1+", "resistor"))
    oven = Thermostat(bench, "oven", OVEN_ADDRESS)
    ElectronicLoad(bench, "load", LOAD_ADDRESS, terminals=("psu2+", "gnd"))
    inputs = (("awg1", "gnd"), ("rc", "gnd"), ("awg2", "gnd"), ("ntc", "gnd"))
    Oscilloscope(bench, "scope", SCOPE_ADDRESS, inputs=inputs)
    Generator(bench, "awg", AWG_ADDRESS, outputs=(("awg1", "gnd"), ("awg2", "gnd")))
    SourceMeter(bench, "smu", SMU_ADDRESS, terminals=("solar+", "gnd"))
    bench.circuit.add(
        Resistor("resistor", "anode", ohms=4.7),
        Diode("anode", "gnd", temperature=oven.temperature),
        Resistor("awg1", "rc", ohms=1e3),
        Capacitor("rc", "gnd", farads=100e-9),
        Resistor("psu3+", "ntc", ohms=1e3),
        Thermistor("ntc", "gnd", ambient=oven.temperature),
        SolarCell("solar+", "gnd", cells=6),
    )
    return bench


def python_dots(seed):
    bench = Bench(clock="skip", seed=seed)
    GateSource(bench, "gates", GATES_ADDRESS, outputs=("p1", "p2", "bias", "spare"))
    Multimeter(bench, "dmm", CURRENT_ADDRESS, voltage_input=("current", "gnd"), current_input=("i", "gnd"))
    Multimeter34465A(bench, "sensor", SENSOR_ADDRESS, voltage_input=("charge", "gnd"), current_input=("j", "gnd"))
    dot, pair, drift = Dot(), DoubleDot(), Drift(f"{seed}/charge", 5e-4)

    def charge(inputs, now):
        first, second = pair.electrons((inputs[0] + drift.at(now), inputs[1]))
        return 1.0 + 0.1 * (sum(inputs) + drift.at(now)) - 0.02 * first - 0.015 * second

    def current(inputs, now):
        return 1e9 * dot.current(inputs[0] + drift.at(now), inputs[1] * 1e-3)

    bench.circuit.add(Transfer("current", ("p1", "bias"), current), Transfer("charge", ("p1", "p2"), charge))
    return bench


DEMO_TALK = [
    ("psu", "VOLT 0.7,(@1);:CURR 0.1,(@1);:OUTP ON,(@1)"), ("dmm", "MEAS:CURR?"), ("dmm", "MEAS:VOLT?"),
    ("oven", "SETP 330;OUTP ON"), ("oven", "KRDG?"), ("dmm", "MEAS:CURR?"), ("psu", "MEAS:CURR? (@1)"),
    ("psu", "VOLT 3,(@2,3);:CURR 0.5,(@2);:OUTP ON,(@2,3)"), ("load", "CURR 0.2;:INP ON;:MEAS:VOLT?"),
    ("awg", "SOUR1:FUNC SIN;FREQ 1000;VOLT 2;:OUTP1 ON"), ("awg", "SOUR2:FUNC SQU;FREQ 2000;VOLT 1;:OUTP2 ON"),
    ("scope", "*RST;:CHAN4:DISP ON;:SING;*OPC?"), ("scope", ":MEAS:VPP? CHAN1"), ("scope", ":MEAS:VPP? CHAN2"),
    ("scope", ":MEAS:VPP? CHAN3"), ("smu", "SENS:CURR:PROT 0.2;:SOUR:VOLT 2;:OUTP ON;:READ?"), ("dmm", "READ?"),
]  # fmt: skip
DOTS_TALK = [
    ("gates", "VOLT 0.13,(@1);:VOLT 0.7,(@3);:VOLT 0.05,(@2)"), ("dmm", "MEAS:VOLT?"), ("sensor", "MEAS:VOLT?"),
    ("gates", "VOLT 0.15,(@1)"), ("dmm", "READ?"), ("sensor", "READ?"), ("gates", "MEAS:VOLT? (@1:3)"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("of_file", "of_python", "talk"),
    [(demo_bench, python_demo, DEMO_TALK), (dots_bench, python_dots, DOTS_TALK)],
    ids=["demo", "dots"],
)
def test_the_file_is_the_bench_that_its_instruments_and_parts_make_in_python(of_file, of_python, talk):
    one, other = of_file(clock="skip", seed=5), of_python(5)
    answers = [ask(one, *message) for message in talk]
    assert answers == [ask(other, *message) for message in talk]
    assert one.now == other.now
    assert len({answer for answer in answers if answer}) >= 5
    assert str(one) == str(other)


def test_the_addresses_in_python_are_those_of_the_files():
    demo = (PSU_ADDRESS, DMM_ADDRESS, OVEN_ADDRESS, LOAD_ADDRESS, SCOPE_ADDRESS, AWG_ADDRESS, SMU_ADDRESS)
    assert [port.instrument.address for port in demo_bench().ports] == [*demo]
    dots = (GATES_ADDRESS, CURRENT_ADDRESS, SENSOR_ADDRESS)
    assert [port.instrument.address for port in dots_bench().ports] == [*dots]


def test_the_files_that_come_with_labnb_can_be_copied_and_changed(file):
    copy = file(bench_file("demo").read_text().replace("4.7 ohm", "47 ohm"))
    assert load_bench(copy).parts["series"].ohms == 47.0
    with pytest.raises(BenchFileError, match="unknown bench file 'dmeo'; did you mean 'demo'"):
        bench_file("dmeo")


ARGUMENTS = {"resistor": "ohms: 1", "capacitor": "farads: 1u", "inductor": "henries: 1m", "switch": "closed: true"}


@pytest.mark.parametrize("word", part_words())
def test_every_part_can_stand_in_a_file(file, word):
    from labnb.sim.catalogue import find_part

    names = find_part(word, Path()).terminal_names
    wires = "".join(f"  - {{from: part.{name}, to: {'gnd' if k else 'psu.1'}}}\n" for k, name in enumerate(names))
    arguments = f", {ARGUMENTS[word]}" if word in ARGUMENTS else ""
    head = "instruments: {psu: {model: keysight/EDU36311A, address: 'GPIB0::1'}}\nclock: skip\n"
    bench = load_bench(file(f"{head}parts:\n  part: {{part: {word}{arguments}}}\nwiring:\n{wires}"))
    ask(bench, "psu", "VOLT 0.1,(@1);:OUTP ON,(@1)")
    assert ask(bench, "psu", "MEAS:VOLT? (@1);:SYST:ERR?").endswith('"No error"')


@pytest.mark.parametrize("key", instrument_keys())
def test_every_instrument_can_stand_in_a_file(file, key):
    text = f"instruments: {{it: {{model: {key}, address: 'TCPIP0::192.0.2.1::INSTR'}}}}\nclock: skip"
    assert key.partition("/")[2].lower() in ask(load_bench(file(text)), "it", "*IDN?").replace("MODEL ", "").lower()


def test_every_model_of_the_sim_has_a_key():
    from labnb.sim import catalogue, models

    made = {each for each in vars(models).values() if isinstance(each, type) and issubclass(each, Instrument)}
    known = {catalogue.find_instrument(key, Path()) for key in instrument_keys()}
    assert made <= known, "give it a key in labnb/sim/catalogue.py, and terminal_names if it can be wired"


def test_a_session_reads_the_same_file_with_keys_of_its_own(file):
    path = file(
        "bench_name: Full\nsimulate: true\nexperiment: {title: T, operator: me}\n"
        "instruments:\n"
        "  psu: {profile: keysight/EDU36311A, address: 'TCPIP0::192.0.2.4::INSTR',\n"
        "        safety_limits: {channels: {1: {voltage: {max: 3.3}}}}}\n"
        "  real: {driver: 'qcodes.x:Y', address: 'GPIB0::9::INSTR', simulate: false}\n"
        "automation: {pre_experiment: ['psu: output all off']}\ntraceability: {dut: {serial_number: D1}}\n"
    )
    assert str(load_bench(path)) == "psu at TCPIP0::192.0.2.4::INSTR"

    class Entry(InstrumentEntry):
        safety_limits: dict[str, dict[int, object]] | None = None

    class File(BenchSchema):
        experiment: dict[str, str]
        instruments: dict[str, Entry]

    document = read_document(path)
    schema = validate(document, File)
    assert schema.experiment["operator"] == "me"
    assert schema.instruments["psu"].safety_limits == {"channels": {1: {"voltage": {"max": 3.3}}}}
    assert "psu" in build(document, schema, path.parent).bench
    document.mistake(("instruments", "psu", "safety_limits", "channels", 1), "too high")
    with pytest.raises(BenchFileError, match=r"line 6: instruments\.psu\.safety_limits\.channels\[2\]: too high"):
        document.refuse()


# --- mistakes ---

MISTAKES = {
    "a key with a slip": ("address: GPIB0::22::INSTR", "adress: GPIB0::22::INSTR", 8,
                          r"instruments.dmm.adress: unknown key 'adress'; did you mean 'address'"),
    "a key at the top with a slip": ("wiring:", "wirring:", 14, "unknown key 'wirring'; did you mean 'wiring'"),
    "a missing key": ("    address: GPIB0::22::INSTR\n", "", 6, "instruments.dmm.address: the key 'address' is missing"),
    "no model": ("    model: keysight/34470A\n", "", 6, "instruments.dmm: the key 'model' is missing"),
    "a model with a slip": ("keysight/34470A", "keysight/34407A", 7, r"unknown model 'keysight/34407A'; did you mean 'keysight/34\d+A'"),
    "a model in other letters": ("keysight/34470A", "Keysight/34470a", 7, "did you mean 'keysight/34470A'"),
    "a part with a slip": ("part: thermistor", "part: termistor", 13, "unknown part 'termistor'; did you mean 'thermistor'"),
    "a part's key with a slip": ("ohms: 3000", "ohm: 3000", 12, "parts.lower.ohm: unknown key 'ohm'; did you mean 'ohms'"),
    "a part without its value": (", ohms: 3000", "", 12, "parts.lower.ohms: the key 'ohms' is missing"),
    "an option that there is not": ("address: GPIB0::22::INSTR", "address: GPIB0::22::INSTR\n    options: {gain: 2}", 9,
                                    "instruments.dmm.options.gain: unknown key 'gain'"),
    "another unit": ("1 kohm", "1 kF", 11, "parts.upper.ohms: expected a number in ohm, as in '4.7 kohm', got '1 kF'"),
    "a text for a number": ("ohms: 3000", "ohms: much", 12, "expected a number in ohm, as in '4.7 kohm', got 'much'"),
    "nothing for a number": ("ohms: 3000", "ohms:", 12, "expected a number in ohm.*got None"),
    "a number that cannot be": ("ohms: 3000", "ohms: -3000", 12, "parts.lower: it cannot be made:.*must be above zero"),
    "a truth for a number": ("seed: 3", "seed: true", 3, "seed: expected a whole number, got True"),
    "another clock": ("clock: skip", "clock: fast", 2, "clock: expected 'real' or 'skip', got 'fast'"),
    "a terminal with a slip": ("dmm.hi", "dmm.hii", 16, "wiring\\[2\\].to\\[2\\]: dmm: unknown terminal 'hii'; did you mean 'hi'"),
    "a terminal that there is not": ("psu.1", "psu.4", 15, "psu: unknown terminal '4'; .*there are 1, 1-, 2, 2-, 3, 3-"),
    "a name with a slip": ("from: psu.1", "from: pus.1", 15, "unknown instrument or part 'pus'; did you mean 'psu'"),
    "a ground with a slip": ("{from: lower.2, to: gnd}", "{from: lower.2, to: gdn}", 17, "unknown name 'gdn'; did you mean 'gnd'"),
    "a wire without terminal": ("from: psu.1", "from: psu", 15, "psu: unknown terminal ''; there are 1"),
    "a wire to nothing": ("{from: ntc.2, to: gnd}", "{from: ntc.2}", 18, "the key 'to' is missing"),
    "a wire to no one": ("{from: ntc.2, to: gnd}", "{from: ntc.2, to: []}", 18, "wiring\\[4\\].to: expected at least one"),
    "a wire to itself": ("{from: ntc.2, to: gnd}", "{from: ntc.2, to: ntc.2}", 18, "a wire from ntc.2 to itself"),
    "a wire to what has no terminals": ("psu.1", "oven.out", 15, "oven has no terminals; a part follows it by its name"),
    "a number for a terminal": ("from: psu.1", "from: 1.2", 15, r"wiring\[1\].from: expected a text, got 1.2"),
    "a loose part": ("  - {from: ntc.2, to: gnd}\n", "", 13, r"parts.ntc: not wired: ntc.2; add '- \{from: ntc.2, to: ...\}'"),
    "two at one address": ("GPIB0::22::INSTR", "gpib::12", 9,
                           r"instruments.oven.address: GPIB0::12::INSTR is where dmm is \(line 8\)"),
    "no address": ("GPIB0::22::INSTR", "somewhere", 8, "'somewhere' is no VISA address; write for example GPIB0::7::INSTR"),
    "a name twice": ("  lower: {part", "  upper: {part", 12, "parts.upper: this key stands already in line 11"),
    "an instrument and a part of one name": ("  ntc: {part", "  dmm: {part", 13, "an instrument has this name already"),
    "a name that is ground": ("  ntc: {part", "  gnd: {part", 13, "'gnd' cannot be a name"),
    "following nobody": ("ambient: oven", "ambient: ovn", 13, "unknown instrument to follow 'ovn'; did you mean 'oven'"),
    "following what cannot be followed": ("ambient: oven", "ambient: psu", 13, "there are oven; or a number"),
    "following something else": ("ambient: oven", "ambient: oven.temprature", 13, "unknown influence 'temprature'; did you mean 'temperature'"),
    "a list for keys": ("parts:\n  upper: {part: resistor, ohms: 1 kohm}", "parts:\n  - {part: resistor, ohms: 1 kohm}", 12, "this is not YAML"),
    "a bracket too few": ("[upper.1, ntc.1]}", "[upper.1, ntc.1}", 15, "this is not YAML"),
    "a tab": ("    model: key", "\tmodel: key", 7, "this is not YAML"),
    "a tag": ("seed: 3", "seed: !!python/object/apply:os.getcwd []", 3, "python/object"),
    "a module that there is not": ("keysight/34470A", "no_such_module:Meter", 7, "'no_such_module' cannot be imported: ModuleNotFoundError"),
    "a class that there is not": ("keysight/34470A", "labnb.sim.models:Multimetre", 7, "unknown class 'Multimetre'; did you mean 'Multimeter'"),
    "a class that is none": ("keysight/34470A", "labnb.sim:Resistor", 7, "Resistor is no subclass of Instrument"),
}  # fmt: skip


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_said_with_its_line_and_what_would_be_right(file, name):
    right, wrong, line, told = MISTAKES[name]
    assert right in GOOD
    path = file(GOOD.replace(right, wrong, 1))
    with pytest.raises(BenchFileError, match=told) as caught:
        load_bench(path)
    assert f"{path}, line {line}: " in str(caught.value)
    assert line in caught.value.lines
    assert caught.value.file == str(path)


def test_all_mistakes_are_said_at_once_in_the_order_of_their_lines(file):
    text = (
        GOOD.replace("seed: 3", "seed: x")
        .replace("address: GPIB0", "adress: GPIB0")
        .replace("clock: skip", "clok: skip")
    )
    with pytest.raises(BenchFileError) as caught:
        load_bench(file(text))
    assert caught.value.lines == (2, 3, 6, 8)


def test_what_follows_from_a_mistake_is_not_told_but_other_mistakes_are(file):
    text = GOOD.replace("34470A", "34407A").replace("labnb/TC100", "labnb/TC10").replace("psu.1", "psu.7")
    with pytest.raises(BenchFileError) as caught:
        load_bench(file(text.replace("ohms: 3000", "ohms: x")))
    assert caught.value.lines == (7, 9, 12, 15)


def test_nothing_can_be_wired_to_an_instrument_that_is_real(file):
    text = GOOD.replace('"USB0::1::2::3::INSTR"}', '"USB0::1::2::3::INSTR", simulate: false}')
    with pytest.raises(BenchFileError, match=r"line 15: wiring\[1\].from: psu is real \(simulate: false\)") as caught:
        load_bench(file(text))
    assert caught.value.lines == (15,)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "the file is empty"),
        (b"# only a comment\n", "the file is empty"),
        (b"just text", "expected keys with values"),
        (b"instruments: {a: 1}\n---\nb: 2", "not YAML"),
        (b"bench_name: \xff\xfe", "not UTF-8 text"),
        (b"bench_name: \x00", "not YAML"),
        (b"[" * 5000, "brackets inside of brackets|too deep|not YAML"),
        (b"a: &a [*a]", "too deep"),
        (b"a: &a [x,x,x,x,x,x,x,x,x]\n" + b"".join(
            f"{c}: &{c} [{','.join([f'*{p}'] * 9)}]\n".encode() for p, c in zip("abcdefgh", "bcdefghi", strict=True)
        ), "too much"),
        (b"? [1, 2]\n: 3", "a key must be a word"),
        (b"{}", "the key 'instruments' is missing"),
    ],
)  # fmt: skip
def test_what_is_no_bench_file_is_refused(tmp_path, content, told):
    path = tmp_path / "odd.yaml"
    path.write_bytes(content)
    with pytest.raises(BenchFileError, match=told):
        load_bench(path)


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(BenchFileError, match=r"gone\.yaml cannot be read: No such file"):
        load_bench(tmp_path / "gone.yaml")


@settings(deadline=None)
@given(st.text(max_size=80) | st.lists(st.sampled_from(GOOD.splitlines(keepends=True)), max_size=20).map("".join))
def test_whatever_a_file_says_the_only_error_is_that_it_is_no_bench_file(text):
    told = "any.yaml, line "
    try:
        document = Document(text, "any.yaml")
        build(document, validate(document, BenchSchema), Path())
    except BenchFileError as error:
        told = str(error)
    assert told.startswith("any.yaml, line ")


# --- values ---


@settings(deadline=None)
@given(st.decimals(-1000, 1000, places=3), st.sampled_from(["k", "M", "m", "u", "n", "p", ""]), st.sampled_from(" \t"))
def test_a_quantity_is_its_number_times_its_prefix_to_the_last_bit(number, prefix, space):
    exponent = {"k": 3, "M": 6, "m": -3, "u": -6, "n": -9, "p": -12, "": 0}[prefix]
    assert parse_quantity(f"{number}{space}{prefix}V", "V") == float(f"{number}e{exponent}")


@settings(deadline=None)
@given(st.floats(allow_nan=False))
def test_a_plain_number_is_itself(number):
    assert parse_quantity(number, "ohm") == number
    assert parse_quantity(repr(number), "ohm") == number if abs(number) < float("inf") else True


@settings(deadline=None)
@given(st.text())
def test_any_other_text_is_refused(text):
    try:
        found = parse_quantity(text, "K")
    except ValueError as error:
        found = str(error)
    assert isinstance(found, float) or "as in '300 K'" in found


@pytest.mark.parametrize(
    ("name", "unit"),
    [("ohms", "ohm"), ("ohms_at_25", "ohm"), ("farads", "F"), ("saturation_a", "A"), ("gap_ev", "eV"), ("cells", ""),
     ("charging_mev", "meV"), ("time_constant_s", "s"), ("k_a_per_v2", ""), ("temperature", "K"), ("beta_k", "K")],
)  # fmt: skip
def test_the_unit_is_in_the_name(name, unit):
    assert unit_of(name) == unit


@pytest.mark.parametrize("text", ["300 k", "27 degC", "5 kV", "1e3000x", "nan", "0x10", "1_000 K"])
def test_a_temperature_is_in_kelvin_or_refused(text):
    with pytest.raises(ValueError, match="a number in K"):
        parse_quantity(text, "K")


@pytest.mark.parametrize(
    ("text", "value"),
    [("1e-9", 1e-9), ("1E9", 1e9), (".5", 0.5), ("-3", -3), ("1:30", "1:30"), ("on", "on"), ("no", "no"), ("010", 10),
     ("2024-01-02", "2024-01-02"), ("true", True), ("~", None), ("'5'", "5"), ("1_0", "1_0"), (".inf", float("inf"))],
)  # fmt: skip
def test_yaml_has_no_surprises(text, value):
    found = Document(f"a: {text}", "x").value["a"]
    assert (found, type(found)) == (value, type(value))


# --- wiring ---

TERMINALS = {"a": ("1", "2", "3"), "b": ("x", "y"), "c": ("+", "-")}
ENDS = ["gnd", *(f"{name}.{each}" for name, names in TERMINALS.items() for each in names)]
WIRES = st.lists(st.tuples(st.sampled_from(ENDS), st.sampled_from(ENDS)).filter(lambda w: w[0] != w[1]), max_size=8)


def nodes_of(wires):
    wiring = Wiring(Document("x", "x"), TERMINALS)
    for start, end in wires:
        wiring.join(Wire.model_validate({"from": start, "to": end}), ())
    return {f"{name}.{each}": wiring.node(name, each) for name, names in TERMINALS.items() for each in names}


@settings(deadline=None)
@given(WIRES, st.randoms())
def test_nodes_depend_neither_on_the_order_of_wires_nor_on_their_direction(wires, random):
    turned = [wire if random.random() < 0.5 else wire[::-1] for wire in wires]
    random.shuffle(turned)
    assert nodes_of(turned) == nodes_of(wires)


@settings(deadline=None)
@given(WIRES)
def test_two_terminals_are_one_node_just_when_wires_lead_from_one_to_the_other(wires):
    reach = {end: {end} for end in ENDS}
    for _ in ENDS:
        for start, end in wires:
            joined = reach[start] | reach[end]
            for each in joined:
                reach[each] = reach[each] | joined
    loose = {"c.-"} - {end for wire in wires for end in wire}
    nodes = {**nodes_of(wires), "gnd": "gnd"}
    for one in set(nodes) - loose:
        for other in set(nodes) - loose:
            assert (nodes[one] == nodes[other]) == (other in reach[one])
    assert all(nodes[each] == "gnd" for each in loose)


# --- one's own ---

OWN = """
from labnb.sim import Instrument, Part, command

class Lamp(Instrument):
    identity = "ME,LAMP,1,1"
    influences = ("light",)

    def __init__(self, bench, name, address, *, suns: float = 1.0, label="", seed: int = 0):
        super().__init__(bench, name, address)
        self.suns, self.label, self.seed = suns, label, seed

    def light(self, now):
        return self.suns

    @command("LABel?")
    def _label(self, call):
        return self.label

class Probe(Instrument):
    terminal_names = {"tip": "tip"}

    def __init__(self, bench, name, address, *, tip: str):
        super().__init__(bench, name, address)
        self.tip = tip

    @command("VOLT?")
    def _volts(self, call):
        self.bench.circuit.advance(self.now)
        return f"{self.bench.circuit.voltage(self.tip):.6f}"

class Leak(Part):
    terminal_names = ("in", "out")

    def __init__(self, first, second, siemens: float):
        super().__init__(first, second)
        self.siemens = siemens

    def stamp(self, rows, right, guess, step_s):
        self._add_conductance(rows, self.siemens)

    def commit(self, solution, step_s):
        self.voltage = self.across(solution)
"""
OWN_BENCH = """
clock: skip
seed: 11
instruments:
  lamp: {{model: {module}:Lamp, address: "GPIB0::1::INSTR", options: {{suns: 0.5, label: hello}}}}
  probe: {{model: {module}:Probe, address: "GPIB0::2::INSTR"}}
  psu: {{model: keysight/EDU36311A, address: "GPIB0::3::INSTR"}}
parts:
  cell: {{part: solar cell, light: lamp}}
  upper: {{part: resistor, ohms: 1M}}
  leak: {{part: "{module}:Leak", siemens: 1e-6}}
wiring:
  - {{from: psu.1, to: upper.1}}
  - {{from: upper.2, to: [leak.in, probe.tip]}}
  - {{from: leak.out, to: gnd}}
  - {{from: cell.+, to: psu.2}}
"""


def test_instruments_and_parts_of_ones_own_lie_beside_the_file(file, monkeypatch):
    file(OWN, "own_gear.py")
    monkeypatch.delitem(sys.modules, "own_gear", raising=False)
    before = list(sys.path)
    bench = load_bench(file(OWN_BENCH.format(module="own_gear")))
    assert sys.path == before
    assert ask(bench, "lamp", "LAB?") == "hello"
    assert bench["lamp"].seed == 11
    assert bench.parts["cell"].light == 0.5
    ask(bench, "psu", "VOLT 2,(@1);:OUTP ON,(@1)")
    assert float(ask(bench, "probe", "VOLT?")) == pytest.approx(1.0, rel=1e-5)


def test_a_module_of_the_same_name_from_elsewhere_is_not_taken_for_the_one_beside_the_file(tmp_path, monkeypatch):
    monkeypatch.delitem(sys.modules, "twin_gear", raising=False)
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "twin_gear.py").write_text(OWN)
        (tmp_path / name / "bench.yaml").write_text(OWN_BENCH.format(module="twin_gear"))
    load_bench(tmp_path / "one" / "bench.yaml")
    with pytest.raises(BenchFileError, match=r"two/twin_gear\.py is meant, but .*one/twin_gear\.py has the same name"):
        load_bench(tmp_path / "two" / "bench.yaml")


def test_a_room_whose_entries_are_all_commented_out_is_empty(file):
    bench = load_bench(
        file("instruments:\n  psu: {model: keysight/EDU36311A, address: 'GPIB0::1'}\nparts:\n  # none\nwiring:\n")
    )
    assert "psu" in bench
    assert not bench.parts


def test_a_module_that_fails_is_said_with_its_error(file):
    file("1 / 0", "broken_gear.py")
    with pytest.raises(BenchFileError, match=r"line 5: .*'broken_gear' cannot be imported: ZeroDivisionError"):
        load_bench(file(OWN_BENCH.format(module="broken_gear")))


def test_registered_words_stand_for_classes(file):
    class Beeper(Instrument):
        identity = "ME,BEEPER,1,1"

    class Wirelike(Part):
        def stamp(self, rows, right, guess, step_s):
            self._add_conductance(rows, 1.0)

        def commit(self, solution, step_s):
            self.voltage = self.across(solution)

    register_instrument("me/Beeper", Beeper)
    register_part("wirelike", Wirelike)
    text = (
        "instruments: {b: {model: me/Beeper, address: 'GPIB0::1'}}\n"
        "parts: {w: {part: wirelike}}\nwiring: [{from: w.1, to: gnd}, {from: w.2, to: gnd}]"
    )
    bench = load_bench(file(text))
    assert type(bench["b"]) is Beeper
    assert type(bench.parts["w"]) is Wirelike
    with pytest.raises(TypeError, match=r"expected a subclass of labnb\.sim\.Instrument"):
        register_instrument("me/x", Resistor)
    with pytest.raises(ValueError, match="cannot be registered"):
        register_part("a:b", Wirelike)


def test_the_documentation_of_the_sim_is_true(file, monkeypatch):
    import labnb.sim

    lamp, varistor = re.findall(r"\n((?:    class .*\n)(?:        .*\n|\n)+)", labnb.sim.__doc__)
    imports = "from labnb.sim import Instrument, Part, Resistor, command, settings\n"
    file(imports + textwrap.dedent(lamp) + textwrap.dedent(varistor), "documented_gear.py")
    monkeypatch.delitem(sys.modules, "documented_gear", raising=False)
    bench = load_bench(
        file(
            "clock: skip\ninstruments:\n"
            "  lamp: {model: 'documented_gear:Lamp', address: 'GPIB0::1', options: {gain: 2}}\n"
            "  psu: {model: keysight/EDU36311A, address: 'GPIB0::2'}\n"
            "parts:\n  var: {part: 'documented_gear:Varistor'}\n  cell: {part: solar cell, light: lamp}\n"
            "wiring:\n  - {from: psu.1, to: [var.1, lamp.+]}\n  - {from: var.2, to: gnd}\n  - {from: cell.+, to: psu.2}\n"
        )
    )
    assert ask(bench, "lamp", "LEV 0.25;:READY?") == "1"
    assert bench.now >= 0.2
    ask(bench, "psu", "VOLT 3,(@1);:OUTP ON,(@1)")
    assert float(ask(bench, "psu", "MEAS:CURR? (@1)")) == pytest.approx(1e-3 * 27 + 3 / 50, abs=1e-3)
    bench.circuit.advance(bench.now)
    assert (bench.parts["var"].current, bench.parts["cell"].light) == (pytest.approx(0.027), 0.5)


# --- through PyVISA ---


@pytest.fixture
def opened():
    """Return a function that opens a resource manager, which is closed at the end."""
    managers = []

    def open_manager(library):
        managers.append(pyvisa.ResourceManager(library))
        return managers[-1]

    yield open_manager
    for manager in managers:
        manager.close()


def test_pyvisa_opens_a_file_relative_to_the_working_directory(file, opened, monkeypatch, tmp_path):
    file(GOOD)
    monkeypatch.chdir(tmp_path)
    manager = opened("bench.yaml@labnb")
    assert manager.open_resource("GPIB0::22::INSTR").query("*IDN?").startswith("Keysight Technologies,34470A")
    monkeypatch.chdir("/")
    assert manager.list_resources() == ("USB0::1::2::3::INSTR", "GPIB0::22::INSTR", "GPIB0::12::INSTR")


def test_one_file_is_one_bench_however_its_path_is_written(file, opened, monkeypatch, tmp_path):
    path = file(GOOD)
    monkeypatch.chdir(tmp_path)
    bench = find_bench("bench.yaml")
    assert (
        find_bench(path)
        is find_bench("./bench.yaml")
        is find_bench(f"{tmp_path}/../{tmp_path.name}/bench.yaml")
        is bench
    )
    assert opened("bench.yaml@labnb").visalib is opened(f"{path}@labnb").visalib
    opened(f"{path}@labnb").open_resource("GPIB0::12::INSTR").write("SETP 312")
    assert bench["oven"].setpoint() == 312.0


def test_the_environment_variable_opens_a_file(file, tmp_path):
    file(GOOD)
    code = "import pyvisa; print(pyvisa.ResourceManager().list_resources('GPIB?*'))"
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], cwd=tmp_path, env={**os.environ, "PYVISA_LIBRARY": "bench.yaml@labnb"},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.stdout == "('GPIB0::22::INSTR', 'GPIB0::12::INSTR')\n", done.stderr


def test_a_file_that_is_saved_unchanged_stays_the_same_bench(file):
    bench = find_bench(file(GOOD))
    path = file(GOOD)
    os.utime(path, ns=(1, 1))
    assert find_bench(path) is bench


def test_a_changed_file_is_a_new_bench_when_nothing_is_open(file, opened):
    path = file(GOOD)
    before = find_bench(path)
    opened(f"{path}@labnb").open_resource("GPIB0::22::INSTR").close()
    file(GOOD.replace("seed: 3", "seed: 4"))  # as long as before, and maybe at the same tick of the clock
    after = find_bench(path)
    assert after is not before
    assert (before.seed, after.seed) == (3, 4)
    manager = opened(f"{path}@labnb")
    manager.open_resource("GPIB0::12::INSTR").write("SETP 313")
    assert after["oven"].setpoint() == 313.0


def test_a_changed_file_is_refused_while_an_instrument_of_the_bench_before_is_open(file, opened):
    path = file(GOOD)
    manager = opened(f"{path}@labnb")
    dmm = manager.open_resource("GPIB0::22::INSTR")
    file(GOOD.replace("3000", "4000"))
    for again in (
        lambda: manager.open_resource("GPIB0::12::INSTR"),
        lambda: pyvisa.ResourceManager(f"{path}@labnb"),
        lambda: find_bench(path),
    ):
        with pytest.raises(LinkError, match="has changed, while instruments of the bench before are open: dmm; close"):
            again()
    assert dmm.query("*IDN?").startswith("Keysight")  # what was open goes on
    dmm.close()
    manager.open_resource("GPIB0::12::INSTR")
    assert find_bench(path).parts["lower"].ohms == 4000.0


def test_a_class_that_is_made_anew_makes_a_new_bench(file):
    class Beeper(Instrument):
        pass

    register_instrument("me/Anew", Beeper)
    path = file("instruments: {b: {model: me/Anew, address: 'GPIB0::1'}}")
    before = find_bench(path)
    assert find_bench(path) is before

    class Beeper2(Instrument):
        pass

    register_instrument("me/Anew", Beeper2)
    assert type(find_bench(path)["b"]) is Beeper2


def test_a_mistake_reaches_who_opens_the_file_through_pyvisa(file):
    path = file(GOOD.replace("model", "modle"))
    with pytest.raises(BenchFileError, match=r"line 5: .*did you mean 'model'"):
        pyvisa.ResourceManager(f"{path}@labnb")


def test_a_name_that_is_neither_a_bench_nor_a_file_is_refused():
    with pytest.raises(
        LinkError, match=r"no simulated bench is called 'demoo'; did you mean 'demo'.*open a file by its path"
    ):
        find_bench("demoo")
    with pytest.raises(BenchFileError, match=r"nowhere\.yaml cannot be read"):
        find_bench("nowhere.yaml")


@pytest.mark.parametrize(
    "address",
    ["GPIB::7", "GPIB0::7::INSTR", "GPIB1::7::3::INSTR", "USB::0x1::0x2::S", "USB0::0x1::0x2::S::INSTR", "ASRL1::INSTR",
     "TCPIP::h", "TCPIP0::192.0.2.1::inst0::INSTR", "TCPIP0::192.0.2.1::INSTR", "TCPIP0::192.0.2.1::5025::SOCKET",
     "ASRL/dev/ttyUSB0::INSTR"],
)  # fmt: skip
def test_every_usual_kind_of_address_can_be_opened(file, opened, address):
    path = file(f"instruments: {{b: {{model: labnb/TC100, address: '{address}'}}}}\nclock: skip")
    resource = opened(f"{path}@labnb").open_resource(address, read_termination="\n", write_termination="\n")
    assert resource.query("*IDN?").startswith("LABNB,TC100")


@pytest.mark.parametrize(
    ("one", "other"),
    [("GPIB::7", "gpib0::7::instr"), ("TCPIP::h::INSTR", "TCPIP0::H::inst0::INSTR"), ("TCPIP0::h", "TCPIP::h::inst0"),
     ("USB::0x1::0x2::S", "USB0::0X1::0x2::s::INSTR"), ("ASRL1::INSTR", "ASRL1")],
)  # fmt: skip
def test_one_address_in_two_spellings_is_one_address(file, one, other):
    text = (
        f"instruments:\n  a: {{model: labnb/TC100, address: '{one}'}}\n  b: {{model: labnb/TC100, address: '{other}'}}"
    )
    with pytest.raises(BenchFileError, match=r"line 3: instruments\.b\.address: .* is where a is \(line 2\)"):
        load_bench(file(text))


def timed(before, action):
    """Return how long `action` takes after `before` in a new interpreter, in s; the best of three."""
    code = f"import time; {before}; begin = time.perf_counter(); {action}; print(time.perf_counter() - begin)"
    runs = [subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True) for _ in range(3)]
    return min(float(run.stdout) for run in runs)


def test_importing_the_sim_loads_neither_pydantic_nor_yaml_and_opening_a_bench_little_more_than_them():
    light = "import sys, labnb.sim; assert not {'pydantic', 'yaml'} & set(sys.modules)"
    ours = timed(light, "labnb.sim.demo_bench()")
    peers = timed("import labnb.sim", "import yaml; from pydantic import BaseModel; type('M', (BaseModel,), {})")
    print(f"the first demo bench: {ours * 1e3:.0f} ms; importing pydantic and PyYAML alone: {peers * 1e3:.0f} ms")
    assert ours < 4 * peers
