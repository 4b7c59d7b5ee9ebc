"""Where messages end in a stream, however it arrives."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labnb.core import LinkError
from labnb.sharing.gateway_messages import Message, Messages


@pytest.mark.parametrize(
    ("stream", "messages"),
    [
        (b"VOLT 1\n", [(b"VOLT 1", False)]),
        (b"*IDN?\r\n", [(b"*IDN?", True)]),
        (b"VOLT 1;VOLT?\n*OPC?\n", [(b"VOLT 1;VOLT?", True), (b"*OPC?", True)]),
        (b"MEAS:VOLT? (@1)\n", [(b"MEAS:VOLT? (@1)", True)]),
        (b'DISP:TEXT "why? #15"\n', [(b'DISP:TEXT "why? #15"', False)]),
        (b"DISP:TEXT 'it isn't\nVOLT?\n", [(b"DISP:TEXT 'it isn't", False), (b"VOLT?", True)]),
        (b"DATA:ARB x,#211 a\nb?;\n'\"#9\nVOLT?\n", [(b"DATA:ARB x,#211 a\nb?;\n'\"#9", False), (b"VOLT?", True)]),
        (b"DATA #13\n\n\n\n", [(b"DATA #13\n\n\n", False)]),
        (b"*ESE #H1F\n", [(b"*ESE #H1F", False)]),
        (b"DATA #0abc?\n", [(b"DATA #0abc?", True)]),
        (b"RCL #1\n", [(b"RCL #1", False)]),
        (b"\n", [(b"", False)]),
    ],
)
def test_a_message_ends_at_a_newline_that_is_not_in_a_block(stream, messages):
    whole = Messages()
    assert whole.feed(stream) == [Message(*each) for each in messages]
    assert not whole.unfinished
    piecewise = Messages()
    assert [each for byte in stream for each in piecewise.feed(bytes([byte]))] == [Message(*each) for each in messages]


PLAIN = st.text(st.characters(codec="ascii", exclude_characters="\n\r#\"'"), max_size=30).map(str.encode)
BLOCK = (st.binary(max_size=60) | st.text("\n\"'#?;19", max_size=20).map(str.encode)).map(
    lambda data: b" #%d%d%b" % (len(b"%d" % len(data)), len(data), data)
)
QUOTED = st.text(st.characters(codec="ascii", exclude_characters='\n\r"'), max_size=20).map(
    lambda text: b'"%b"' % text.encode()
)


@given(st.lists(st.lists(PLAIN | BLOCK | QUOTED, max_size=4).map(b"".join), max_size=5), st.data())
def test_whatever_the_pieces_are_the_messages_are_the_same(messages, data):
    messages = [each.removesuffix(b"\r") for each in messages]
    stream, found, cutter = b"".join(each + b"\n" for each in messages), [], Messages()
    while stream:
        size = data.draw(st.integers(1, len(stream)))
        found += cutter.feed(stream[:size])
        stream = stream[size:]
    assert [each.raw for each in found] == messages


def test_a_message_without_an_end_is_refused():
    with pytest.raises(LinkError, match="more than 1000 bytes"):
        Messages(longest=1000).feed(b"a" * 1001)
    with pytest.raises(LinkError, match="send it in parts"):
        Messages(longest=1000).feed(b"DATA #41001")
