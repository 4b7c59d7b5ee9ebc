"""Finding, opening and closing resources, and what VISA tells of them."""

import pytest
import pyvisa
from pyvisa import constants
from pyvisa.constants import (
    BufferOperation,
    InterfaceType,
    IOProtocol,
    ResourceAttribute,
    SerialTermination,
    StatusCode,
)
from pyvisa.errors import InvalidSession, VisaIOError

from labnb.sim.backend import LabnbVisaLibrary


def failure(act, *arguments) -> StatusCode:
    with pytest.raises(VisaIOError) as caught:
        act(*arguments)
    return StatusCode(caught.value.error_code)


@pytest.fixture
def manager(open_trial):
    return open_trial("usb").visalib.resource_manager


@pytest.mark.parametrize(
    ("expression", "found"),
    [
        ("?*", "usb gpib vxi11 socket asrl"), ("?*::INSTR", "usb gpib vxi11 asrl"), ("?*INSTR", "usb gpib vxi11 asrl"),
        ("?*::SOCKET", "socket"), ("usb?*", "usb"), ("USB", ""), ("GPIB[0-9]*::?*INSTR", "gpib"),
        ("GPIB[^0-9]*::?*INSTR", ""), ("ASRL?*INSTR|GPIB?*INSTR", "gpib asrl"), ("(ASRL|GPIB)?::?*", "gpib asrl"),
        ("TCPIP0::192.0.2.4[01]::?*", "vxi11 socket"), ("TCPIP0::192?0?2?40::?*", "vxi11"), ("TCPIP0::192x0?*", ""),
        (r"\USB0::?*", "usb"), ("USB0::0x2A8D::0x0101::SIM1::INSTR", "usb"), ("GPIB0+::?*", "gpib"),
        ("?*{VI_ATTR_INTF_TYPE == VI_INTF_GPIB}", "gpib"), ("?*{VI_ATTR_MANF_ID == 0x2A8D}", "usb"),
        ("?*{VI_ATTR_GPIB_PRIMARY_ADDR > 4 && VI_ATTR_GPIB_PRIMARY_ADDR <= 5}", "gpib"),
        ("?*{VI_ATTR_GPIB_PRIMARY_ADDR < 5 || VI_ATTR_TCPIP_PORT >= 5025}", "socket"),
        ("?*{!(VI_ATTR_INTF_TYPE == VI_INTF_TCPIP)}", "usb gpib asrl"), ('?*{VI_ATTR_MODEL_NAME == "TRIAL"}', "usb"),
        ("?*{VI_ATTR_USB_SERIAL_NUM != 'SIM2'}", "usb"), ("?*{VI_ATTR_MODEL_NAME == 5}", ""),
        ("?*INSTR{VI_ATTR_ASRL_BAUD == 9600}", "asrl"),
    ],
)  # fmt: skip
def test_expressions_find_resources(manager, trials, expression, found):
    assert manager.list_resources(expression) == tuple(trials.port(name).instrument.address for name in found.split())


@pytest.mark.parametrize(
    "expression",
    ["*", "(USB?*", "USB[0", "?*{VI_ATTR_NOTHING == 1}", "?*{VI_ATTR_TMO_VALUE == 1}", "?*{VI_ATTR_MANF_ID}", "?*{",
     "?*{}", "?*{}x", "?*{VI_ATTR_MANF_ID == }", "?*{VI_ATTR_MANF_ID == x}", "?*{(VI_ATTR_MANF_ID == 1}", "?*{1 == 1}",
     "?*{VI_ATTR_MANF_ID == 1 VI_ATTR_MANF_ID}", "?*{VI_ATTR_MANF_ID == $}", "?*" * 200, "?*{" + "!" * 5000 + "}"],
)  # fmt: skip
def test_an_expression_that_visa_does_not_understand_is_refused(manager, expression):
    assert failure(manager.list_resources, expression) == StatusCode.error_invalid_expression


EXPECTED = {
    "usb": {
        "VI_ATTR_INTF_TYPE": InterfaceType.usb, "VI_ATTR_MANF_ID": 0x2A8D, "VI_ATTR_MODEL_CODE": 0x0101,
        "VI_ATTR_USB_SERIAL_NUM": "SIM1", "VI_ATTR_MANF_NAME": "LABNB", "VI_ATTR_MODEL_NAME": "TRIAL",
        "VI_ATTR_USB_INTFC_NUM": 0, "VI_ATTR_4882_COMPLIANT": True, "VI_ATTR_RSRC_CLASS": "INSTR",
    },
    "gpib": {
        "VI_ATTR_INTF_TYPE": InterfaceType.gpib, "VI_ATTR_GPIB_PRIMARY_ADDR": 5, "VI_ATTR_GPIB_SECONDARY_ADDR": 0xFFFF,
        "VI_ATTR_GPIB_REN_STATE": 1, "VI_ATTR_INTF_NUM": 0,
    },
    "vxi11": {
        "VI_ATTR_INTF_TYPE": InterfaceType.tcpip, "VI_ATTR_TCPIP_ADDR": "192.0.2.40",
        "VI_ATTR_TCPIP_DEVICE_NAME": "inst0", "VI_ATTR_TCPIP_HOSTNAME": "", "VI_ATTR_TCPIP_IS_HISLIP": False,
    },
    "socket": {
        "VI_ATTR_TCPIP_ADDR": "192.0.2.41", "VI_ATTR_TCPIP_PORT": 5025, "VI_ATTR_TCPIP_NODELAY": True,
        "VI_ATTR_RSRC_CLASS": "SOCKET", "VI_ATTR_IO_PROT": IOProtocol.normal,
    },
    "asrl": {
        "VI_ATTR_INTF_NUM": 4, "VI_ATTR_ASRL_BAUD": 9600, "VI_ATTR_ASRL_AVAIL_NUM": 0, "VI_ATTR_ASRL_DATA_BITS": 8,
        "VI_ATTR_ASRL_END_IN": SerialTermination.termination_char, "VI_ATTR_ASRL_CONNECTED": True,
    },
}  # fmt: skip
COMMON = {
    "VI_ATTR_RSRC_MANF_NAME": "labnb", "VI_ATTR_TMO_VALUE": 2000, "VI_ATTR_SEND_END_EN": True,
    "VI_ATTR_TERMCHAR": 10, "VI_ATTR_MAX_QUEUE_LENGTH": 50, "VI_ATTR_RSRC_LOCK_STATE": 0, "VI_ATTR_USER_DATA": 0,
}  # fmt: skip


@pytest.mark.parametrize("interface", EXPECTED)
def test_attributes_say_what_the_address_says(open_trial, interface):
    instrument = open_trial(interface)
    for name, value in (COMMON | EXPECTED[interface]).items():
        assert instrument.get_visa_attribute(getattr(constants, name)) == value, name
    assert instrument.get_visa_attribute(constants.VI_ATTR_RM_SESSION) == instrument.visalib.resource_manager.session


@pytest.mark.parametrize("interface", EXPECTED)
def test_every_attribute_of_pyvisas_classes_can_be_read_or_is_refused_as_visa_does(open_trial, interface):
    instrument, refused = open_trial(interface), {}
    for attribute in sorted(instrument.visa_attributes_classes, key=lambda each: each.visa_name):
        try:
            getattr(instrument, attribute.py_name) if attribute.py_name else None
            instrument.get_visa_attribute(attribute.attribute_id)
        except VisaIOError as error:
            refused[attribute.visa_name] = error.error_code
    assert set(refused.values()) <= {StatusCode.error_nonsupported_attribute}
    lines = {f"VI_ATTR_ASRL_{line}" for line in
             ("CTS_STATE", "DSR_STATE", "DTR_STATE", "RTS_STATE", "WIRE_MODE", "DCD_STATE", "RI_STATE")}  # fmt: skip
    assert set(refused) <= lines | {"VI_ATTR_TCPIP_HISLIP_VERSION", "VI_ATTR_TCPIP_HISLIP_OVERLAP_EN"}


def test_attributes_take_what_visa_lets_them_take(open_trial):
    usb = open_trial("usb")
    usb.read_termination, usb.send_end, usb.timeout = "\r", False, None
    assert (usb.get_visa_attribute(constants.VI_ATTR_TERMCHAR), usb.send_end) == (13, False)
    assert usb.get_visa_attribute(constants.VI_ATTR_TMO_VALUE) == constants.VI_TMO_INFINITE
    for attribute, value in ((ResourceAttribute.timeout_value, -5), (ResourceAttribute.termchar, 256),
                             (ResourceAttribute.send_end_enabled, 7), (ResourceAttribute.io_prot, 99),
                             (ResourceAttribute.timeout_value, "long")):  # fmt: skip
        assert failure(usb.set_visa_attribute, attribute, value) == StatusCode.error_nonsupported_attribute_state
    read_only = StatusCode.error_attribute_read_only
    assert failure(usb.set_visa_attribute, ResourceAttribute.resource_manufacturer_name, "me") == read_only
    unknown = StatusCode.error_nonsupported_attribute
    assert failure(usb.set_visa_attribute, ResourceAttribute.asrl_baud_rate, 9600) == unknown
    assert failure(usb.get_visa_attribute, 12345) == unknown


def test_a_message_without_end_goes_on_with_the_next_write(open_trial):
    usb = open_trial("usb", write_termination="")
    usb.send_end = False
    usb.write("*ID")
    usb.send_end = True
    assert usb.query("N?").startswith("LABNB")


def test_a_serial_line_ends_as_its_attributes_say(open_trial):
    serial = open_trial("asrl", write_termination="", read_termination=None, timeout=100)
    serial.end_output = SerialTermination.termination_char
    serial.write("*IDN?")
    assert serial.read() == "LABNB,TRIAL,SIM0099,1.0\n"
    serial.write("*IDN?")
    assert serial.bytes_in_buffer == 0
    serial.read_bytes(4)
    assert serial.bytes_in_buffer == 20
    serial.end_input = SerialTermination.none
    assert serial.read_bytes(20).endswith(b"1.0\n")


@pytest.mark.parametrize("interface", ["socket", "asrl"])
def test_a_stream_has_a_status_byte_and_a_trigger_once_it_is_told_to_speak_488_2(open_trial, trials, interface):
    stream = open_trial(interface)
    assert failure(stream.read_stb) == StatusCode.error_invalid_setup
    assert failure(stream.visalib.assert_trigger, stream.session, 0) == StatusCode.error_invalid_setup
    stream.set_visa_attribute(ResourceAttribute.io_prot, IOProtocol.protocol4882_strs)
    stream.write("FOO")
    assert stream.read_stb() == 4
    stream.visalib.assert_trigger(stream.session, 0)
    assert trials[interface].output()


@pytest.mark.parametrize("interface", EXPECTED)
def test_a_flush_discards_what_a_stream_has_brought_and_nothing_that_waits_in_an_instrument(open_trial, interface):
    instrument = open_trial(interface)
    instrument.write("*IDN?")
    for mask in (BufferOperation.discard_read_buffer, BufferOperation.discard_read_buffer_no_io,
                 BufferOperation.discard_receive_buffer | BufferOperation.flush_transmit_buffer):  # fmt: skip
        instrument.flush(mask)
    if interface in ("socket", "asrl"):
        assert instrument.query("*TST?").strip() == "0"
    else:
        assert instrument.read().startswith("LABNB")
    for mask in (0, -1, 256, BufferOperation.discard_read_buffer | BufferOperation.discard_read_buffer_no_io):
        assert failure(instrument.flush, mask) == StatusCode.error_invalid_mask


def test_a_flush_of_what_is_written_discards_nothing_that_is_read(open_trial):
    stream = open_trial("socket")
    stream.write("*IDN?")
    stream.flush(BufferOperation.flush_write_buffer | BufferOperation.discard_transmit_buffer)
    assert stream.read().startswith("LABNB")


def test_remote_control_is_for_gpib_and_usb(open_trial):
    gpib = open_trial("gpib")
    gpib.control_ren(constants.RENLineOperation.deassert)
    assert gpib.remote_enabled == constants.LineState.unasserted
    gpib.control_ren(constants.RENLineOperation.asrt)
    assert gpib.remote_enabled == constants.LineState.asserted
    library, socket = gpib.visalib, open_trial("socket")
    refused = StatusCode.error_nonsupported_operation
    assert failure(library.gpib_control_ren, socket.session, constants.RENLineOperation.asrt) == refused


def test_closing_the_manager_closes_what_it_opened_and_nothing_else(visa, trials):
    manager = visa(trials)
    library = manager.visalib
    (second, _), address = library.open_default_resource_manager(), "GPIB0::5::INSTR"
    (mine, _), (other, _) = library.open(manager.session, address), library.open(second, address)
    library.close(second)
    assert failure(library.write, other, b"*IDN?") == StatusCode.error_invalid_object
    assert failure(library.close, other) == StatusCode.error_invalid_object
    assert failure(library.close, second) == StatusCode.error_invalid_object
    assert library.write(mine, b"*IDN?")[0] == 5
    assert failure(library.write, second, b"*IDN?") == StatusCode.error_invalid_object


def test_two_sessions_share_one_instrument_and_its_one_output(open_trial):
    one, other = open_trial("gpib"), open_trial("gpib")
    one.write("VOLT 5;:VOLT?")
    assert float(other.read()) == 5.0
    one.close()
    with pytest.raises(InvalidSession):
        one.write("VOLT 6")
    assert other.query("*TST?").strip() == "0"


def test_an_address_may_be_written_in_every_way_that_visa_knows(manager):
    for address in ("gpib::5", "TCPIP::192.0.2.40", "TCPIP::192.0.2.40::INSTR",
                    "usb::0x2a8d::0x0101::sim1", "ASRL4", "TCPIP0::192.0.2.41::5025::SOCKET"):  # fmt: skip
        with manager.open_resource(address) as instrument:
            assert instrument.visalib is manager.visalib


@pytest.mark.parametrize(
    "address", ["", "::", "GPIB0::x::INSTR", "nonsense", "GPIB0::6::INSTR", "ÄÖ::1", "USB0::INSTR"]
)
def test_an_address_where_nothing_is_is_a_visa_error(manager, address):
    code = failure(manager.visalib.open, manager.session, address)
    assert code in (StatusCode.error_invalid_resource_name, StatusCode.error_resource_not_found)


def test_pyvisa_info_tells_version_and_benches():
    info = LabnbVisaLibrary.get_debug_info()
    assert "demo" in info["Benches"]
    assert info["Version"]
    assert "labnb" in pyvisa.util.get_debug_info(to_screen=False)
