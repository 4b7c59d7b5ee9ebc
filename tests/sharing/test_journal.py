"""What a restart still knows, and who is alive."""

import json
import os
import subprocess
import sys

import pytest

from labnb.core import ReservationError, ReservationLost
from labnb.sharing.callers import identify, introduction
from labnb.sharing.desk import Desk
from labnb.sharing.journal import Journal
from labnb.sharing.leases import Lease, process_lease, process_start
from labnb.sharing.peers import Peers, user_of
from labnb.sharing.places import place
from labnb.sharing.table import Claim, Holder


@pytest.fixture
def journal(tmp_path):
    opened = Journal(tmp_path / "reservations.jsonl")
    yield opened
    opened.close()


def reopened(journal):
    """Return a desk that starts from the journal, as a later process would."""
    journal.close()
    return Desk(Journal(journal.path))


def close(desk):
    desk._journal.close()


def claim(name, lease=None, **more):
    return Claim({name: frozenset({place(name)})}, lease=lease or Lease(), **more)


async def test_a_hold_is_the_same_after_a_restart(journal):
    desk = Desk(journal)
    wanted = claim("psu", process_lease(os.getpid()), holder=Holder("host", "me", 3, "IV"), annotations={"a": "b"})
    hold = await desk.reserve(wanted, 0)
    later = reopened(journal)
    assert later.table.holds == {hold.token: hold}
    later.release(hold.token)
    last = reopened(later._journal)
    assert last.table.holds == {}
    close(last)


async def test_a_part_that_was_given_back_stays_so(journal):
    desk = Desk(journal)
    both = Claim({name: frozenset({place(name)}) for name in ("psu", "dmm")})
    hold = await desk.reserve(both, 0)
    desk.release(hold.token, ["psu"])
    later = reopened(journal)
    assert set(later.table.holds[hold.token].claim.sessions) == {"dmm"}
    close(later)


async def test_who_died_meanwhile_holds_nothing_and_is_told_so(journal):
    hold = await Desk(journal).reserve(claim("psu", Lease(os.getpid(), "another start")), 0)
    later = reopened(journal)
    assert later.table.holds == {}
    with pytest.raises(ReservationLost, match=f"ended with its process {os.getpid()}"):
        later.release(hold.token)
    close(later)


async def test_when_the_machine_was_started_anew_only_pin_maps_are_left(journal, monkeypatch, full_map):
    desk = Desk(journal)
    hold = await desk.reserve(claim("psu"), 0)
    desk.registry.register("session", [("DMM1", b"")])
    await desk.registry.keep_pin_map("full", full_map.read_text("utf-8"))
    monkeypatch.setattr("labnb.sharing.desk.this_machine", lambda: "another start")
    later = reopened(journal)
    assert later.table.holds == {}
    assert later.registry.registered["session"] == {}
    assert list(later.registry.wirings) == ["full"]
    assert (await later.reserve(claim("psu"), 0)).token > hold.token
    close(later)


async def test_tokens_grow_even_if_the_journal_is_lost(journal):
    old = await Desk(journal).reserve(claim("psu"), 0)
    journal.path.unlink()
    later = reopened(journal)
    assert (await later.reserve(claim("psu"), 0)).token > old.token
    close(later)


async def test_a_last_line_that_was_cut_off_is_left_out(journal):
    await Desk(journal).reserve(claim("psu"), 0)
    with journal.path.open("a") as file:
        file.write('{"do":"hold","tok')
    later = reopened(journal)
    assert len(later.table.holds) == 1
    close(later)


@pytest.mark.parametrize(
    "line", ["not json", '{"do":"dance"}', '{"do":"hold"}', "[]", '{"do":"release","token":5,"sessions":null}']
)
def test_a_damaged_journal_is_not_taken_for_an_empty_one(journal, line):
    journal.path.write_text(f"{line}\n")
    with pytest.raises(ReservationError, match=r"move the file away"):
        Desk(journal)


def test_two_services_do_not_keep_one_journal(journal):
    with pytest.raises(ReservationError, match="another service keeps its reservations"):
        Journal(journal.path)


async def test_a_journal_does_not_grow_for_ever(journal, monkeypatch):
    monkeypatch.setattr("labnb.sharing.desk._LINES_BEFORE_REWRITING", 20)
    desk = Desk(journal)
    kept = await desk.reserve(claim("kept"), 0)
    for _ in range(100):
        desk.release((await desk.reserve(claim("psu"), 0)).token)
    assert len(journal.path.read_text().splitlines()) <= 21
    later = reopened(journal)
    assert later.table.holds == {kept.token: kept}
    close(later)


async def test_a_full_disk_ends_the_memory_but_not_the_service(journal, monkeypatch, caplog):
    desk = Desk(journal)

    def full(entry):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(journal, "append", full)
    hold = await desk.reserve(claim("psu"), 0)
    desk.release(hold.token)
    assert "No space left on device; reservations are not kept over a restart" in caplog.text
    assert len(caplog.records) == 1


async def test_a_distant_holder_has_to_renew(monkeypatch):
    desk = Desk()
    hold = await desk.reserve(claim("psu", Lease(ttl_s=5)), 0)
    now = desk._seen_s[hold.token]
    clock = type("Clock", (), {"monotonic": lambda self: now, "time_ns": lambda self: 0})()
    monkeypatch.setattr("labnb.sharing.desk.present_clock", lambda: clock)
    assert desk._lapsed() == []
    now += 6
    with desk.keeping(hold.token):
        assert desk._lapsed() == [], "its keep-alive stream is open"
    assert desk._lapsed() == [], "it was seen just now"
    now += 6
    assert desk._lapsed() == [(hold.token, "was not renewed for 5 s")]


def test_a_process_is_known_by_its_start_not_by_its_number_alone():
    started = process_start(os.getpid())
    assert started
    assert not Lease(os.getpid(), started).has_ended()
    assert Lease(os.getpid(), "1").has_ended()
    assert process_start(2**22 + 1) == ""


def test_a_process_that_ended_and_was_not_waited_for_is_not_alive():
    ended = subprocess.Popen([sys.executable, "-c", ""])
    os.waitid(os.P_PID, ended.pid, os.WEXITED | os.WNOWAIT)
    assert process_start(ended.pid) == ""
    ended.wait()


def test_a_process_is_found_by_its_connection(program):
    import socket

    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        code = "import socket, sys; s = socket.create_connection(('127.0.0.1', int(sys.argv[1]))); sys.stdin.read()"
        caller = program(code, str(port))
        connection, (host, remote) = server.accept()
        with connection:
            peers = Peers(port)
            assert peers.pid(f"ipv4:{host}:{remote}") == caller.pid
            assert peers.pid(f"ipv4:{host}:{remote}") == caller.pid
            assert peers.pid("ipv4:10.0.0.1:5") == 0
            assert peers.pid("unix:abc") == 0
            caller.kill()
            assert peers.pid(f"ipv4:{host}:{remote}") == 0, "what was found before is checked at each use"


def test_who_says_nothing_is_named_by_its_process(monkeypatch):
    peers = Peers()
    monkeypatch.setattr(peers, "pid", lambda peer: os.getpid())
    holder, lease = identify("ipv4:127.0.0.1:1", {}, peers)
    assert (holder.pid, holder.user) == (os.getpid(), user_of(os.getpid()))
    assert lease == process_lease(os.getpid())


def test_who_cannot_be_seen_is_believed_only_if_such_a_process_exists():
    said = introduction("note", 30)
    holder, lease = identify("ipv4:127.0.0.1:1", said, Peers())
    assert lease == process_lease(os.getpid())
    assert holder.note == "note"
    wrong = said | {"labnb/started": "5"}
    assert identify("ipv4:127.0.0.1:1", wrong, Peers())[1] == Lease(ttl_s=30)


def test_who_comes_from_another_machine_has_a_lease_by_time():
    said = introduction("", 30) | {"labnb/machine": "elsewhere", "labnb/host": "far"}
    holder, lease = identify("ipv4:127.0.0.1:1", said, Peers())
    assert lease == Lease(ttl_s=30)
    assert holder.host == "far"


def test_entries_are_lines_of_json(journal):
    journal.append({"do": "token", "token": 1})
    assert [json.loads(line) for line in journal.path.read_text().splitlines()] == [{"do": "token", "token": 1}]
