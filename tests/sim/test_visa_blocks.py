"""Large binary blocks, there and back."""

import random

import numpy as np
import pytest

MEGABYTE = 1_000_000
EVERYWHERE = pytest.mark.parametrize("interface", ["usb", "gpib", "vxi11", "socket", "asrl"])


@pytest.fixture(scope="module")
def noise() -> bytes:
    return random.Random(1).randbytes(MEGABYTE)


@pytest.mark.parametrize("interface", ["usb", "socket"])
def test_a_megabyte_goes_there_and_back_unharmed(open_trial, trials, interface, noise):
    instrument = open_trial(interface)
    instrument.write_binary_values("DATA ", noise, datatype="B")
    assert trials[interface].data == noise
    back = instrument.query_binary_values("DATA?", datatype="B", container=bytes)
    assert back == noise
    assert instrument.query("SYST:ERR?").strip() == '0,"No error"'


@EVERYWHERE
def test_numbers_go_there_and_back_in_either_order_of_bytes(open_trial, interface):
    instrument = open_trial(interface)
    values = np.linspace(-1, 1, 2001)
    for big in (False, True):
        instrument.write_binary_values("DATA ", values, datatype="d", is_big_endian=big)
        back = instrument.query_binary_values("DATA?", datatype="d", is_big_endian=big, container=np.array)
        assert (back == values).all()


@EVERYWHERE
@pytest.mark.parametrize("chunk", [1, 7, 1000])
def test_a_block_may_be_read_in_pieces_of_any_size(open_trial, trials, interface, chunk):
    instrument = open_trial(interface, chunk_size=chunk)
    payload = bytes(range(256)) * 2 + b"\n\n\r\n"
    trials[interface].data = payload
    assert instrument.query_binary_values("DATA?", datatype="B", container=bytes) == payload
    assert instrument.query("*TST?").strip() == "0"


@EVERYWHERE
def test_a_block_may_be_written_in_pieces(open_trial, trials, interface):
    instrument = open_trial(interface)
    message = b"DATA #213hello;\n\n'you\";*OPC?\n"
    messages = interface not in ("socket", "asrl")
    for place in range(len(message)):
        if messages:
            instrument.send_end = place == len(message) - 1
        instrument.write_raw(message[place : place + 1])
    assert instrument.read().strip() == "1"
    assert trials[interface].data == b"hello;\n\n'you\""


@pytest.mark.parametrize("interface", ["usb", "gpib", "vxi11"])
def test_an_indefinite_block_ends_with_the_message(open_trial, trials, interface):
    instrument = open_trial(interface)
    instrument.write_raw(b"DATA #0a;b\n#15c\n")
    assert trials[interface].data == b"a;b\n#15c"
    instrument.send_end = False
    instrument.write_raw(b"DATA #0one\n")
    instrument.send_end = True
    instrument.write_raw(b"two\n")
    assert trials[interface].data == b"one\ntwo"


@pytest.mark.parametrize("interface", ["socket", "asrl"])
def test_an_indefinite_block_ends_with_the_line_on_a_stream(open_trial, trials, interface):
    instrument = open_trial(interface)
    instrument.write_raw(b"DATA #0a;b\n*IDN?\n")
    assert trials[interface].data == b"a;b"
    assert instrument.read().startswith("LABNB")


def test_a_block_that_never_ends_is_forgotten_with_a_clear(open_trial, trials):
    usb = open_trial("usb")
    usb.send_end = False
    usb.write_raw(b"DATA #3999abc\n")
    usb.send_end = True
    usb.clear()
    assert usb.query("*TST?").strip() == "0"
    assert usb.query("SYST:ERR?").strip() == '0,"No error"'
