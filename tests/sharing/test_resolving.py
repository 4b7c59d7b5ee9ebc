"""Pins of a request to driver sessions: the table of the full pin map, and each rule."""

from pathlib import Path

import pytest

from labnb.core import PinMapError
from labnb.sharing.pin_map_xml import NAMESPACE, read_pin_map
from labnb.sharing.places import place
from labnb.sharing.resolving import UnknownSite, Wiring, session_places

FULL = Path(__file__).parent / "full.pinmap"


@pytest.fixture(scope="module")
def full():
    return Wiring(read_pin_map(FULL.read_text("utf-8")))


def wiring(instruments="", pins="", connections="", groups="", sites=2):
    """Return the wiring of a small map."""
    numbers = "".join(f'<Site siteNumber="{n}"/>' for n in range(sites))
    declared = "".join(f'<DUTPin name="{name}"/>' for name in pins.split())
    return Wiring(
        read_pin_map(
            f'<PinMap xmlns="{NAMESPACE}" schemaVersion="1.6"><Instruments>{instruments}</Instruments>'
            f"<Pins>{declared}</Pins><PinGroups>{groups}</PinGroups><Sites>{numbers}</Sites>"
            f"<Connections>{connections}</Connections></PinMap>"
        )
    )


def connect(pin, site, instrument, channel):
    return f'<Connection pin="{pin}" siteNumber="{site}" instrument="{instrument}" channel="{channel}"/>'


def told(resolution):
    return {each.session.name: each.channel_list for each in resolution.sessions}


def mappings(resolution):
    return [
        (wire.connection.name, wire.connection.site, wire.channel)
        for each in resolution.sessions
        for wire in each.wires
    ]


def test_reserving_everything_gives_the_sessions_of_the_table(full):
    everything = full.resolve()
    assert told(everything) == {
        "SMU1/0, SMU1/1": "SMU1/0, SMU1/1",
        "SMU1/2": "SMU1/2",
        "SCOPE1,SCOPE2": "SCOPE1/0, SCOPE2/0",
        "DIG1": "site0/Data, site1/Data",
        "DMM1": "0",
        "Task1": "Dev1/ai0",
        "RLY1": "K0, K1, K9",
        "TCPIP0::10.0.0.7::INSTR": "1",
    }
    assert [each.session.type_id for each in everything.sessions] == [
        "niDCPower", "niDCPower", "niScope", "niDigitalPattern", "niDMM", "niDAQmx", "niRelayDriver", "labnb.Keithley2400",
    ]  # fmt: skip
    assert len(next(each for each in everything.sessions if each.session.name == "DMM1").wires) == 2
    assert everything.multiplexers == {"MUX1": "MyMux"}
    assert everything.groups == {}


# ---- rule 1: names and sites


def test_no_names_are_all_pins_and_relays_and_no_sites_are_all_sites(full):
    assert len(mappings(full.resolve())) == 15
    assert {site for _, site, _ in mappings(full.resolve())} == {-1, 0, 1}


def test_groups_expand_through_groups_each_name_once_in_order(full):
    assert full.pin_map.expand("All") == ("Vcc", "Out", "Data")
    assert mappings(full.resolve(["All", "Vcc", "Analog"], [0])) == mappings(full.resolve(["Vcc", "Out", "Data"], [0]))


def test_an_empty_group_is_nothing_not_everything():
    empty = wiring('<NIDmmInstrument name="D"/>', "p", connect("p", 0, "D", 0), '<PinGroup name="none"/>')
    assert empty.resolve(["none"]).sessions == ()


def test_a_systems_pin_counts_whenever_it_is_named_whatever_the_sites(full):
    assert mappings(full.resolve(["Trig"], [1])) == [("Trig", -1, "SMU1/1")]
    assert told(full.resolve(["Main"], [0])) == {"RLY1": "K9"}


@pytest.mark.parametrize("name", ["Vdd", "vcc", "", "SMU1", "Idle", "MUX1"])
def test_an_unknown_name_is_refused_by_name(full, name):
    with pytest.raises(PinMapError, match="unknown pin, relay or group") as refused:
        full.resolve(["Vcc", name])
    assert refused.value.name == name


@pytest.mark.parametrize("site", [2, -1, 17])
def test_an_unknown_site_is_refused(full, site):
    with pytest.raises(UnknownSite, match=f"site {site} is not in the pin map, whose sites are \\[0, 1\\]"):
        full.resolve(["Vcc"], [0, site])


# ---- rule 2: what a session is


def test_a_dc_power_channel_group_spans_instruments():
    instruments = "".join(
        f'<NIDCPowerInstrument name="{name}" numberOfChannels="12"><ChannelGroup name="g" channels="0:11"/></NIDCPowerInstrument>'
        for name in ("S2", "S1")
    )
    connections = connect("a", 0, "S1", 1) + connect("a", 1, "S2", 10) + connect("b", 0, "S2", 2)
    (session,) = wiring(instruments, "a b", connections).resolve().sessions
    assert session.session.name == "S2/2, S2/10, S1/1", "by instrument as defined, then by channel as a number"
    assert session.channel_list == "S1/1, S2/2, S2/10"
    assert session.session.places == {place("S2", "2"), place("S2", "10"), place("S1", "1")}


def test_dc_power_channels_without_a_group_are_a_session_each():
    connections = connect("a", 0, "S", 0) + connect("a", 1, "S", 1)
    instruments = '<NIDCPowerInstrument name="S" numberOfChannels="2"/>'
    assert told(wiring(instruments, "a", connections).resolve()) == {"S/0": "S/0", "S/1": "S/1"}


def test_scopes_of_one_group_are_one_session_and_digitals_of_that_name_another():
    instruments = (
        '<NIScopeInstrument name="A" numberOfChannels="2" group="G"/>'
        '<NIDigitalPatternInstrument name="D" numberOfChannels="2" group="G"/>'
        '<NIScopeInstrument name="B" numberOfChannels="2" group="G"/>'
        '<NIScopeInstrument name="C" numberOfChannels="2"/>'
    )
    connections = "".join(connect(pin, 0, name, 0) for pin, name in zip("abcd", "ABCD", strict=True))
    found = wiring(instruments, "a b c d", connections).resolve()
    assert told(found) == {"A,B": "A/0, B/0", "D": "site0/d", "C": "0"}
    assert found.sessions[0].session.places == {place("A"), place("B")}


def test_a_driver_that_opens_the_whole_instrument_locks_all_of_it(full):
    places = {each.session.name: each.session.places for each in full.resolve().sessions}
    assert places["DMM1"] == {place("DMM1")}
    assert places["RLY1"] == {place("RLY1")}
    assert places["SMU1/2"] == {place("SMU1", "2")}
    assert places["Task1"] == {place("Task1"), place("Dev1", "ai0")}, "two tasks can be on one device's line"


def test_what_no_map_describes_is_locked_by_its_resource_name():
    assert session_places("SMU1/0, SMU1/1", "niDCPower") == {place("SMU1", "0"), place("SMU1", "1")}
    assert session_places("SMU1", "niDCPower") == {place("SMU1")}
    assert session_places("A,B", "niScope") == {place("A"), place("B")}
    assert session_places("ASRL/dev/tty0::INSTR", "own") == {place("ASRL/dev/tty0::INSTR")}


# ---- rule 3: the resource name


@pytest.mark.parametrize("names", [["Vcc"], ["Trig"], ["Vcc", "Trig"], []])
def test_the_resource_name_does_not_depend_on_the_request(full, names):
    assert "SMU1/0, SMU1/1" in told(full.resolve(names))


def test_a_group_of_scopes_is_named_after_all_of_them(full):
    assert list(told(full.resolve(["Out"], [1]))) == ["SCOPE1,SCOPE2"]


# ---- rule 4: the channel list


@pytest.mark.parametrize(
    ("names", "sites", "channels"),
    [
        (["Trig"], [], ["SMU1/1"]),  # only what is asked for
        (["Data"], [1], ["site1/Data"]),  # digital: by site and pin
        (["Out"], [0], ["SCOPE1/0"]),  # several in a group: with the instrument
        (["Gate"], [], ["1"]),  # one instrument: bare
        (["Sense"], [], ["0"]),  # two routes to one channel: once
        (["Aux"], [], ["Dev1/ai0"]),  # one channel for both sites: once
    ],
)
def test_the_channel_list_is_what_was_asked_for_each_once(full, names, sites, channels):
    assert [each.channel_list for each in full.resolve(names, sites).sessions] == channels


def test_a_group_of_one_instrument_has_bare_channels():
    instruments = '<NIScopeInstrument name="A" numberOfChannels="2" group="G"/>'
    assert told(wiring(instruments, "a", connect("a", 0, "A", 1)).resolve()) == {"A": "1"}


def test_a_systems_pin_of_a_digital_instrument_is_bare():
    found = Wiring(
        read_pin_map(
            f'<PinMap xmlns="{NAMESPACE}" schemaVersion="1.0"><Instruments><NIDigitalPatternInstrument name="D"/>'
            '</Instruments><Pins><SystemPin name="Clk"/></Pins><Connections>'
            '<SystemConnection pin="Clk" instrument="D" channel="3"/></Connections></PinMap>'
        )
    )
    assert told(found.resolve()) == {"D": "Clk"}


# ---- rule 5: the order


def test_channels_go_by_site_then_by_request_and_the_systems_are_last(full):
    assert mappings(full.resolve(["Main", "Load"], [1, 0])) == [
        ("Load", 1, "K1"),
        ("Load", 0, "K0"),
        ("Main", -1, "K9"),
    ]
    order = [(name, site) for name, site, _ in mappings(full.resolve(["Trig", "Vcc"], []))]
    assert order == [("Vcc", 0), ("Trig", -1), ("Vcc", 1)]


def test_within_a_site_pins_go_in_the_order_of_the_request():
    instruments = '<NIScopeInstrument name="A" numberOfChannels="4"/>'
    connections = "".join(connect(pin, site, "A", 2 * site + n) for n, pin in enumerate("ab") for site in (0, 1))
    (session,) = wiring(instruments, "a b", connections).resolve(["b", "a"]).sessions
    assert session.channel_list == "1, 0, 3, 2"


def test_sessions_go_in_the_order_in_which_the_map_defines_instruments(full):
    assert list(told(full.resolve(["Gate", "Sense", "Vcc"], [0]))) == [
        "SMU1/0, SMU1/1", "DMM1", "TCPIP0::10.0.0.7::INSTR",
    ]  # fmt: skip


# ---- rule 6: mappings and multiplexers


def test_there_is_one_mapping_for_each_pin_and_site_on_shared_and_multiplexed_channels_too(full):
    assert mappings(full.resolve(["Aux", "Sense"])) == [
        ("Sense", 0, "0"), ("Sense", 1, "0"), ("Aux", 0, "Dev1/ai0"), ("Aux", 1, "Dev1/ai0"),
    ]  # fmt: skip
    (session,) = full.resolve(["Sense"]).sessions
    assert [(wire.connection.multiplexer, wire.connection.route) for wire in session.wires] == [
        ("MUX1", "c0->r0"), ("MUX1", "c1->r0"),
    ]  # fmt: skip


def test_only_the_multiplexers_that_are_touched_are_told(full):
    assert full.resolve(["Vcc"]).multiplexers == {}
    assert full.resolve(["Sense"], [1]).multiplexers == {"MUX1": "MyMux"}


# ---- rule 7: groups


def test_every_requested_group_is_told_as_it_was_expanded(full):
    groups = full.resolve(["All", "Relays", "Gate"]).groups
    assert groups == {"All": ("Vcc", "Out", "Data"), "Relays": ("Load", "Main")}


# ---- types


def test_a_type_keeps_its_sessions_only_and_no_match_is_no_session(full):
    assert list(told(full.resolve([], [], "niDMM"))) == ["DMM1"]
    assert full.resolve(["Vcc"], [], "niDMM").sessions == ()
    assert full.resolve([], [], "niNothing").sessions == ()
