"""Instruments by their names: take turns, see who has them, know when they are gone."""

import asyncio
import threading
from contextlib import aclosing

import pytest

from labnb.core import ReservationError, ReservationLost, Reserved
from labnb.sharing import AsyncReservationClient, Holder, ReservationClient, place


@pytest.fixture
def other(service):
    with ReservationClient(service.address, note="other") as opened:
        yield opened


class Told(list):
    """What was told, from any thread, and a way to wait for the first."""

    def __init__(self):
        super().__init__()
        self._first = threading.Event()

    def __call__(self, what):
        self.append(what)
        self._first.set()

    def wait(self):
        assert self._first.wait(10)
        return self[0]


def test_a_reservation_lasts_for_its_block(client, other):
    with client.reserve(["psu", "dmm"]) as held:
        assert held.resources == ("psu", "dmm")
        assert held.is_held
        held.check()
        with pytest.raises(Reserved, match=r"dmm is reserved by .* \(test\)"):
            other.reserve(["DMM", "scope"])
        other.reserve("scope").release()
    assert not held.is_held
    other.reserve("dmm").release()


def test_who_has_what_is_shown(client, other):
    held = client.reserve(["psu", place("smu", "1")])
    (told,) = other.situation().reservations
    assert told.token == held.token
    assert told.resources == ("psu", "smu/1")
    assert isinstance(told.holder, Holder)
    assert told.holder.note == "test"
    assert other.situation().of("PSU") == (told,)
    assert "psu, smu/1: reserved by" in str(told)


def test_who_waits_is_told_its_place_and_who_is_before(client, other):
    held = client.reserve("psu")
    places, got = Told(), []
    waiting = threading.Thread(target=lambda: got.append(other.reserve("psu", timeout=-1, on_wait=places)))
    waiting.start()
    first = places.wait()
    assert first.position == 1
    assert first.in_the_way[0].token == held.token
    assert "place 1 in the queue" in str(first)
    (queued,) = client.situation().queue
    assert (queued.resources, queued.position, queued.holder.note) == (("psu",), 1, "other")
    held.release()
    waiting.join(10)
    assert got[0].is_held


def test_a_wait_that_is_over_is_an_error_with_the_holder(client, other):
    with client.reserve("psu"), pytest.raises(Reserved, match="psu is reserved by"):
        other.reserve("psu", timeout=0.1)
    assert client.situation().queue == ()


def test_what_is_taken_away_is_lost_at_once_and_says_by_whom_and_why(client, other):
    held = client.reserve("psu")
    reasons = Told()
    held.on_lost(reasons)
    other.force_release(held.token, "the cryostat warms up")
    assert "was taken away by" in reasons.wait()
    assert held.is_lost
    with pytest.raises(ReservationLost, match=r"psu: .* the cryostat warms up; nothing was sent"):
        held.check()
    with pytest.raises(ReservationLost):
        held.release()
    late = Told()
    held.on_lost(late)
    assert late == [*reasons]


def test_a_block_whose_reservation_is_lost_tells_so_once(client, other):
    def use():
        with client.reserve("psu") as held:
            reasons = Told()
            held.on_lost(reasons)
            other.force_release(held.token)
            reasons.wait()
            held.check()

    with pytest.raises(ReservationLost, match="nothing was sent") as lost:
        use()
    assert lost.value.__context__ is None


def test_only_the_reservation_that_was_seen_is_taken_away(client, other):
    old = client.reserve("psu")
    old.release()
    new = client.reserve("psu")
    with pytest.raises(ReservationLost, match="was released"):
        other.force_release(old.token)
    with pytest.raises(ReservationLost):
        other.force_release("not a token")
    new.check()


def test_after_a_release_there_is_nothing_to_check(client):
    held = client.reserve("psu")
    held.release()
    held.release()
    with pytest.raises(ReservationLost, match="you have released it"):
        held.check()


def test_those_who_read_share(client, other):
    with client.reserve("psu", mode="read"), other.reserve("psu", mode="read"):
        assert [each.mode for each in client.situation().reservations] == ["read", "read"]
        with pytest.raises(Reserved, match="to read"):
            other.reserve("psu")


@pytest.mark.parametrize(("resources", "mode"), [([], "exclusive"), (" ", "exclusive"), ("psu", "look")])
def test_what_cannot_be_reserved_is_refused(client, resources, mode):
    with pytest.raises(ReservationError, match=r"instrument|mode"):
        client.reserve(resources, mode=mode)


def test_closing_a_client_gives_everything_back(service, other):
    with ReservationClient(service.address) as client:
        client.reserve("psu")
        client.reserve("dmm")
    assert other.situation().reservations == ()


def test_changes_are_watched_as_they_come(client, other):
    situations = client.watch()
    assert next(situations).reservations == ()
    held = other.reserve("psu")
    assert next(each for each in situations if each.reservations).reservations[0].token == held.token
    held.release()
    assert next(each for each in situations if not each.reservations)
    situations.close()


async def test_the_asynchronous_client_does_the_same(service, client):
    async with AsyncReservationClient(service.address, note="async") as mine:
        async with await mine.reserve(["psu", "dmm"]) as held:
            held.check()
            assert (await mine.situation()).of("psu")[0].holder.note == "async"
            with pytest.raises(Reserved):
                await mine.reserve("psu")
        held = await mine.reserve("psu")
        lost = asyncio.Event()
        held.on_lost(lambda why: lost.set())
        client.force_release(held.token, "why not")
        async with asyncio.timeout(10):
            await lost.wait()
        assert held.is_lost
        with pytest.raises(ReservationLost, match="why not"):
            held.check()
        with pytest.raises(ReservationLost):
            await held.release()
        with pytest.raises(ReservationLost):
            await mine.force_release(held.token)


async def test_a_cancelled_waiter_leaves_the_queue(service):
    async with AsyncReservationClient(service.address) as mine, AsyncReservationClient(service.address) as other:
        held = await other.reserve("psu")
        waits = asyncio.Event()
        waiting = asyncio.create_task(mine.reserve("psu", timeout=-1, on_wait=lambda wait: waits.set()))
        await waits.wait()
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        async with asyncio.timeout(10), aclosing(other.watch()) as situations:
            async for now in situations:
                if not now.queue:
                    break
        await held.release()
        assert (await other.situation()).reservations == ()


async def test_what_is_granted_to_who_gave_up_is_given_back(service):
    """Cancel at any moment of a reservation: afterwards it is free."""
    async with AsyncReservationClient(service.address) as mine, AsyncReservationClient(service.address) as other:
        for delay in range(0, 40, 2):
            waiting = asyncio.create_task(mine.reserve("psu", timeout=-1))
            await asyncio.wait([waiting], timeout=delay / 10_000)
            waiting.cancel()
            await asyncio.wait([waiting])
            if not waiting.cancelled():
                await waiting.result().release()
            held = await other.reserve("psu", timeout=5)
            await held.release()
