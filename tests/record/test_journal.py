"""The journal codec: what was written comes back, or nothing does."""

import json
import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from labnb.core import Axis, Group, OpenAxis, RecordError, Span, Variable
from labnb.record.journal import (
    START,
    Batch,
    RowCodec,
    Scanner,
    group_document,
    group_from,
    group_record,
    read_start,
    run_record,
    slot,
)

SHALLOW = Group(0, (Axis("a", (1.0, 2.0), "K"),), (Variable("x", "A"),))
DEEP = Group(7, (Axis("a", (1.0, 2.0), "K"), Axis("b", ("left", "right"))), (Variable("y"), Variable("n", dtype="<i2")))
CODECS = (RowCodec(0, SHALLOW), RowCodec(1, DEEP))

floats = st.floats(allow_nan=False)
times = st.integers(-(2**63), 2**63 - 1)
shallow = st.tuples(st.just(0), st.integers(0, 1), times, st.tuples(floats))
deep = st.tuples(st.just(1), st.integers(0, 3), times, st.tuples(floats, st.integers(-(2**15), 2**15 - 1)))
rows = st.lists(st.one_of(shallow, deep), max_size=60)


def write(points):
    head = run_record({"run": "iv-0000"}) + group_record(SHALLOW) + group_record(DEEP)
    return head, b"".join(CODECS[k].record(place, time, *values) for k, place, time, values in points)


def read(data, *, verify=True, pieces=None):
    scanner = Scanner(verify=verify)
    found = []
    for end in [*(pieces or []), len(data)]:
        found += scanner.feed(data[scanner.offset - START : end])
    points = [
        (batch.codec.index, int(row["place"]), int(row["time"]), tuple(row.tolist()[5:]))
        for batch in found
        if isinstance(batch, Batch)
        for row in batch.rows
    ]
    return points, [item for item in found if isinstance(item, Group)], scanner


@given(rows, st.booleans(), st.data())
def test_rows_come_back_however_the_file_is_cut_into_pieces(points, verify, data):
    head, body = write(points)
    pieces = sorted(data.draw(st.lists(st.integers(0, len(head + body)), max_size=5)))
    found, groups, scanner = read(head + body, verify=verify, pieces=pieces)
    assert found == points
    assert groups == [SHALLOW, DEEP]
    assert scanner.facts == {"run": "iv-0000"}


@given(rows, st.data())
def test_a_journal_that_ends_anywhere_gives_the_whole_rows_before_its_end(points, data):
    head, body = write(points)
    end = data.draw(st.integers(0, len(head + body)))
    found, _, scanner = read((head + body)[:end])
    assert found == points[: len(found)]
    assert scanner.offset - START <= end
    whole = len(head) + sum(CODECS[p[0]].total for p in points[: len(found) + 1])
    assert len(found) == len(points) or end < whole


@settings(max_examples=300)
@given(rows.filter(len), st.data())
def test_a_flipped_bit_never_gives_a_wrong_row(points, data):
    head, body = write(points)
    damaged = bytearray(head + body)
    at = data.draw(st.integers(0, len(damaged) - 1))
    damaged[at] ^= 1 << data.draw(st.integers(0, 7))
    found, _, scanner = read(bytes(damaged))
    assert found == points[: len(found)]
    assert scanner.offset - START <= at


@given(rows, st.binary(max_size=80))
def test_garbage_behind_the_last_row_is_not_read(points, garbage):
    head, body = write(points)
    found, _, _ = read(head + body + b"\0" * 8 + garbage)
    assert found == points


def test_a_thousand_rows_of_one_group_are_one_batch():
    head, body = write([(0, 0, k, (float(k),)) for k in range(5000)])
    scanner = Scanner(verify=False)
    batches = [item for item in scanner.feed(head + body) if isinstance(item, Batch)]
    assert [len(batch.rows) for batch in batches] == [5000]
    assert np.array_equal(batches[0].rows["v0"], np.arange(5000.0))


def test_a_journal_of_another_kind_is_refused():
    with pytest.raises(RecordError, match="expected a journal"):
        read_start(b"PK\x03\x04" + bytes(40))
    with pytest.raises(RecordError, match="expected a journal"):
        read_start(b"")


@given(st.integers(START, 2**63))
def test_the_synced_offset_comes_back_and_a_torn_one_counts_as_nothing(offset):
    assert read_start(b"labnbj01" + slot(offset)) == offset
    torn = slot(offset)[:7] + bytes([slot(offset)[7] ^ 1]) + slot(offset)[8:]
    assert read_start(b"labnbj01" + torn) == START


def test_every_kind_of_axis_comes_back_from_its_document():
    group = Group(
        3,
        (OpenAxis("shot", 0.5, "s", "notes"), Axis("on", (True, False)), Axis("n", (1, 2))),
        (Variable("trace", "V", "<f4", (Span("k", 4), Axis("f", (1e9, 2e9), "Hz")), "spectrum"),),
    )
    assert group_from(group_document(group)) == group


@pytest.mark.parametrize(
    "values",
    [
        tuple(k / 7 for k in range(2000)),
        tuple(range(-1000, 1000)),
        (*range(1999), 2**70),
        (*range(1999), 0.5),
        tuple(k % 2 == 0 for k in range(2000)),
        tuple(f"run {k}" for k in range(2000)),
    ],
    ids=["float", "int", "large int", "mixed", "bool", "text"],
)
def test_many_values_of_an_axis_come_back_as_they_were(values):
    group = Group(0, (Axis("x", values, "V"),), (Variable("y", "A", "<f8"),))
    back = group_from(json.loads(json.dumps(group_document(group))))
    assert back == group
    assert [type(value) for value in back.axes[0].values] == [type(value) for value in values]


def test_packed_values_that_are_damaged_are_refused():
    group = Group(0, (Axis("x", tuple(range(2000)), "V"),), (Variable("y", "A", "<f8"),))
    document = group_document(group)
    document["axes"][0]["packed"] = document["axes"][0]["packed"][:-5]
    with pytest.raises(RecordError, match="declares a group that this version cannot read"):
        group_from(document)


def test_a_number_that_does_not_fit_its_struct_is_an_error():
    with pytest.raises(struct.error):
        CODECS[1].record(0, 0, 1.0, 2**31)
