"""The notebook of shared instruments tells what it says it tells."""


def test_two_programs_share_a_supply_by_a_gateway_and_by_reservations(executed):
    book = executed("10_sharing_instruments")
    state, points, said, ours, lost, outlets, code = book.told
    assert (state, points) == ("done", 21)
    assert said == "the neighbour got 1000 right answers of 1000"
    assert 1e-6 < ours < 1
    assert "urgent" in lost
    assert (outlets, code) == ((), 0)
    queued = "".join(output.text for output in book.cell("reserve(psu, dmm)").outputs if "text" in output)
    assert "place 1 in the queue" in queued
    assert "(night_shift.py)" in queued
