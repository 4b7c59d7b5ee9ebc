"""Pin map files: what is read, and what is refused by its name."""

import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labnb.core import PinMapError
from labnb.sharing import read_pin_map
from labnb.sharing.pin_map import physical_channels

FULL = (Path(__file__).parent / "full.pinmap").read_text("utf-8")


def test_the_full_map_is_read_as_it_is_written():
    read = read_pin_map(FULL)
    assert [each.name for each in read.instruments] == [
        "SMU1", "SCOPE1", "SCOPE2", "DIG1", "DMM1", "Task1", "RLY1", "TCPIP0::10.0.0.7::INSTR",
    ]  # fmt: skip
    assert read.instrument("SMU1").channel_groups == {"0": "left", "1": "left", "2": "right", "3": "right"}
    assert read.multiplexers == {"MUX1": "MyMux"}
    assert [name for name, system in read.pins.items() if system] == ["Trig", "Gate"]
    assert read.relays == {"Load": False, "Main": True}
    assert read.pin_groups == {"Analog": ("Vcc", "Out"), "All": ("Analog", "Data")}
    assert read.relay_configurations == {"Idle": {"Main": "Open"}}
    assert read.sites == (0, 1)
    assert len(read.connections) == 15


def test_a_byte_order_mark_may_lead():
    assert read_pin_map("\ufeff" + FULL) == read_pin_map(FULL)


def test_what_the_file_says_of_its_encoding_is_of_no_account_once_it_is_text():
    assert read_pin_map(FULL.replace('encoding="utf-8"', 'encoding="utf-16"')) == read_pin_map(FULL)


@pytest.mark.parametrize("minor", range(7))
def test_schema_versions_1_0_to_1_6_are_read(minor):
    assert read_pin_map(FULL.replace('schemaVersion="1.6"', f'schemaVersion="1.{minor}"')) == read_pin_map(FULL)


BOMB = '<!DOCTYPE x [<!ENTITY lol "lol"><!ENTITY more "&lol;&lol;">]>'
FILE = '<!DOCTYPE x [<!ENTITY secret SYSTEM "file:///etc/passwd">]>'
MISTAKES = {
    # what is at fault: (what is replaced in the full map, by what)
    "2.0": ('schemaVersion="1.6"', 'schemaVersion="2.0"'),
    "1.7": ('schemaVersion="1.6"', 'schemaVersion="1.7"'),
    "PinMap": (' schemaVersion="1.6"', ""),
    "{http://other}PinMap": ("http://www.ni.com/TestStand/SemiconductorModule/PinMap.xsd", "http://other"),
    "NoSuch": ('<Connection pin="Vcc" siteNumber="0" ', '<Connection pin="NoSuch" siteNumber="0" '),
    "SMU9": ('instrument="SMU1" channel="0"', 'instrument="SMU9" channel="0"'),
    "MUX1": ('instrument="SMU1" channel="0"', 'instrument="MUX1" channel="0"'),
    "9": ('instrument="SMU1" channel="0"', 'instrument="SMU1" channel="9"'),
    "5": ('siteNumber="1" instrument="SMU1"', 'siteNumber="5" instrument="SMU1"'),
    "one": ('<Site siteNumber="1"/>', '<Site siteNumber="one"/>'),
    "0": ('<Site siteNumber="1"/>', '<Site siteNumber="0"/>'),
    "MUX7": ('multiplexer="MUX1" routeName="c1', 'multiplexer="MUX7" routeName="c1'),
    "Nowhere": ('<PinReference pin="Analog"/>', '<PinReference pin="Nowhere"/>'),
    "Load": ('<PinReference pin="Analog"/>', '<PinReference pin="Load"/>'),
    "Elsewhere": ('<RelayReference relay="Load"/>', '<RelayReference relay="Elsewhere"/>'),
    "Absent": ('<RelayPosition relay="Main"', '<RelayPosition relay="Absent"'),
    "Main": ('position="Open"', 'position="Ajar"'),
    "Analog": ('<PinReference pin="Vcc"/>', '<PinReference pin="All"/>'),
    "SCOPE1": ('<NIScopeInstrument name="SCOPE2"', '<NIScopeInstrument name="SCOPE1"'),
    "DMM1": ('<Multiplexer name="MUX1"', '<Multiplexer name="DMM1"'),
    "Vcc": ('<DUTPin name="Out"/>', '<DUTPin name="Vcc"/>'),
    "Out": ('<SiteRelay name="Load"/>', '<SiteRelay name="Out"/>'),
    "Relays": ('<PinGroup name="All">', '<PinGroup name="Relays">'),
    "Data": ('pin="Data" siteNumber="1"', 'pin="Data" siteNumber="0"'),
    "Trig": ('<SystemConnection pin="Trig"', '<Connection siteNumber="0" pin="Trig"'),
    "Aux": ('<SystemConnection pin="Trig"', '<SystemConnection pin="Aux"'),
    "X1": ('<NIDmmInstrument name="DMM1"/>', '<NIDmmInstrument name="DMM1"/><NIMystery name="X1"/>'),
    "Wires": ("<Connections>", "<Wires/><Connections>"),
    "Connection": (' channel="0"/><Connection', "/><Connection"),
    "K64": ('controlLine="K9"', 'controlLine="K64"'),
    "Dev2/ai0": ('channel="Dev1/ai0"', 'channel="Dev2/ai0"'),
    "4": ('channels="2,3"', 'channels="2,4"'),
    "1": ('channels="2,3"', 'channels="1:3"'),
    "many": ('numberOfChannels="4"><', 'numberOfChannels="many"><'),
    "Instrument": (' instrumentTypeId="labnb.Keithley2400"', ""),
    "lol": ("<PinMap", BOMB + "<PinMap"),
    "secret": ("<PinMap", FILE + "<PinMap"),
    "x": ("<PinMap", '<!DOCTYPE x SYSTEM "http://other/x.dtd"><PinMap'),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_refused_with_the_name_at_fault(name):
    old, new = MISTAKES[name]
    assert old in FULL
    text = FULL.replace(old, new, 1)
    with pytest.raises(PinMapError) as refused:
        read_pin_map(text)
    assert refused.value.name == name
    assert name.rpartition("}")[2] in str(refused.value)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "<PinMap",
        "no xml",
        FULL[:-5],
        "\ufeff",
        FULL.replace("</Pins>", "</Pin>"),
        FULL.replace("Vcc", "V\0c"),
        FULL.replace("Vcc", "V\udc00"),
    ],
)
def test_what_is_not_well_formed_is_refused(text):
    with pytest.raises(PinMapError, match="not well-formed"):
        read_pin_map(text)


def test_entities_are_refused_before_they_are_expanded():
    levels = "".join(f'<!ENTITY e{n} "{f"&e{n - 1};" * 10}">' for n in range(1, 12))
    with pytest.raises(PinMapError, match="none is read"):
        read_pin_map(f'<!DOCTYPE x [<!ENTITY e0 "ha">{levels}]><PinMap>&e11;</PinMap>')


def nested(groups, first, references):
    """Return the full map with so many pin groups, each of which refers to the one before so many times."""
    made = [f'<PinGroup name="G0"><PinReference pin="{first}"/></PinGroup>']
    made += [
        f'<PinGroup name="G{number}">' + f'<PinReference pin="G{number - 1}"/>' * references + "</PinGroup>"
        for number in range(1, groups)
    ]
    return FULL.replace("<PinGroups>", "<PinGroups>" + "".join(made))


@pytest.mark.parametrize(("groups", "references"), [(40, 10), (5000, 1)])
def test_groups_of_groups_are_expanded_without_a_bomb_and_however_deep_they_are(groups, references):
    assert read_pin_map(nested(groups, "Vcc", references)).expand(f"G{groups - 1}") == ("Vcc",)


def test_a_long_circle_of_groups_is_refused():
    with pytest.raises(PinMapError, match="pin group 'G0' contains itself"):
        read_pin_map(nested(5000, "G4999", 1))


NINES = "9" * 5000
HUGE = {
    "numberOfChannels of 'SMU1'": ('numberOfChannels="4"><', f'numberOfChannels="{NINES}"><'),
    "siteNumber": ('<Site siteNumber="1"/>', f'<Site siteNumber="{NINES}"/>'),
    "2:9999999999": ('channels="2,3"', 'channels="2:9999999999"'),
    "2:99": ('channels="2,3"', f'channels="2:{NINES}"'),
    "0:99999,0:99999": ('channels="2,3"', f'channels="{"0:99999," * 1000}"'),
    "Dev1/ai0:99999999": ('channelList="Dev1/ai0"', 'channelList="Dev1/ai0:99999999"'),
    "'X9'": (
        "<Multiplexer",
        "".join(f'<NIFGenInstrument name="X{n}" numberOfChannels="100000"/>' for n in range(20)) + "<Multiplexer",
    ),
}


@pytest.mark.parametrize("told", HUGE)
def test_numbers_that_no_instrument_has_are_refused_before_they_fill_the_memory(told):
    old, new = HUGE[told]
    assert old in FULL
    with pytest.raises(PinMapError) as refused:
        read_pin_map(FULL.replace(old, new, 1))
    assert told in str(refused.value)
    assert len(str(refused.value)) < 300


@pytest.mark.speed
def test_a_large_honest_map_is_read_in_good_time():
    sites, pins = range(64), range(100)
    text = (
        FULL[: FULL.index("<Instruments>")]
        + "<Instruments>"
        + "".join(f'<NIDigitalPatternInstrument name="D{n}" numberOfChannels="10000" group="g"/>' for n in sites)
        + "</Instruments><Pins>"
        + "".join(f'<DUTPin name="p{n}"/>' for n in pins)
        + "</Pins><Sites>"
        + "".join(f'<Site siteNumber="{n}"/>' for n in sites)
        + "</Sites><Connections>"
        + "".join(
            f'<Connection pin="p{pin}" siteNumber="{site}" instrument="D{site}" channel="{pin}"/>'
            for site in sites
            for pin in pins
        )
        + "</Connections></PinMap>"
    )
    began = time.monotonic()
    assert len(read_pin_map(text).connections) == 6400
    assert time.monotonic() - began < 3


def test_a_pin_may_have_channels_of_different_instrument_types():
    old = "</Connections>"
    new = '<Connection pin="Vcc" siteNumber="0" instrument="SCOPE1" channel="3"/></Connections>'
    assert len(read_pin_map(FULL.replace(old, new)).connections) == 16


def test_a_routed_pin_is_as_unique_as_a_wired_one():
    new = '<Connection pin="Sense" siteNumber="1" instrument="DMM1" channel="0"/></Connections>'
    with pytest.raises(PinMapError, match="'Sense' at site 1 is connected to two channels of niDMM") as refused:
        read_pin_map(FULL.replace("</Connections>", new))
    assert refused.value.name == "Sense"


@given(st.text(max_size=200))
def test_any_text_is_read_or_refused_as_a_pin_map(text):
    with pytest.raises(PinMapError):
        read_pin_map(text)


@given(st.lists(st.integers(0, 40), max_size=8))
def test_a_list_of_channels_is_its_own_members(numbers):
    assert list(physical_channels(", ".join(map(str, numbers)))) == [str(number) for number in numbers]


def test_ranges_of_channels_are_expanded_both_ways():
    assert list(physical_channels("0:2,5")) == ["0", "1", "2", "5"]
    assert list(physical_channels("3:1")) == ["3", "2", "1"]
    assert list(physical_channels("Dev1/ai0:1, Dev2/ai3")) == ["Dev1/ai0", "Dev1/ai1", "Dev2/ai3"]
    assert list(physical_channels("Dev1/ai0:Dev1/ai1")) == ["Dev1/ai0", "Dev1/ai1"]
