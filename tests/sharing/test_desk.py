"""People at the desk: what happens at the same moment."""

import asyncio

import pytest

from labnb.core import ReservationLost, Reserved
from labnb.sharing.desk import Desk
from labnb.sharing.places import place
from labnb.sharing.table import Claim, Holder


def claim(name, who=""):
    return Claim({name: frozenset({place(name)})}, Holder(user=who))


async def queued(desk, wanted, timeout_s=None):
    """Return a task that waits at the desk."""
    task = asyncio.create_task(desk.reserve(wanted, timeout_s))
    count = len(desk.table.queue)
    while len(desk.table.queue) == count:
        await asyncio.sleep(0)
    return task


async def test_who_is_cancelled_at_the_moment_of_the_grant_gives_it_back():
    desk = Desk()
    first = await desk.reserve(claim("psu"), 0)
    waiting = await queued(desk, claim("psu"))
    desk.release(first.token)
    assert desk.table.holds, "it is granted"
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert desk.table.holds == {}


async def test_who_is_cancelled_in_the_queue_lets_those_behind_go_on():
    desk = Desk()
    await desk.reserve(claim("psu"), 0)
    both = Claim({name: frozenset({place(name)}) for name in ("psu", "dmm")})
    ahead = await queued(desk, both)
    behind = await queued(desk, claim("dmm"))
    ahead.cancel()
    hold = await behind
    assert set(hold.claim.sessions) == {"dmm"}


async def test_a_timeout_in_the_queue_lets_those_behind_go_on_and_names_who_waits_before():
    desk = Desk()
    await desk.reserve(claim("psu", "ann"), 0)
    waiting = await queued(desk, claim("psu", "bob"))
    with pytest.raises(Reserved, match=r"psu is reserved by ann@.*; psu is waited for by bob@"):
        await desk.reserve(claim("psu"), 0.01)
    assert len(desk.table.queue) == 1
    waiting.cancel()
    await asyncio.wait([waiting])
    assert desk.table.queue == ()


async def test_the_end_of_a_hold_is_told_to_who_keeps_it_once_and_remembered():
    desk = Desk()
    hold = await desk.reserve(claim("psu"), 0)
    with desk.keeping(hold.token) as ended:
        desk.release(hold.token, why="was taken away")
        assert await ended == "was taken away"
    with pytest.raises(ReservationLost, match="was taken away"), desk.keeping(hold.token):
        pass
    with pytest.raises(ReservationLost, match="is not known here"):
        desk.release(7)


async def test_a_clock_that_is_set_back_makes_no_token_smaller_and_no_time_negative(monkeypatch):
    desk = Desk()
    first = await desk.reserve(claim("psu", "ann"), 0)
    earlier = type("Clock", (), {"monotonic": lambda self: 0.0, "time_ns": lambda self: 1})()
    monkeypatch.setattr("labnb.sharing.desk.present_clock", lambda: earlier)
    monkeypatch.setattr("labnb.sharing.table.present_clock", lambda: earlier)
    with pytest.raises(Reserved, match=r"ann@.* for 0\.0 s"):
        await desk.reserve(claim("psu"), 0)
    assert (await desk.reserve(claim("dmm"), 0)).token > first.token
