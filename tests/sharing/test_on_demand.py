"""A service that a kernel started: found wherever it is, and gone when nobody needs it."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from labnb.core import ReservationError, ReservationLost
from labnb.sharing import Quiet, ReservationClient, find_service, finding, service_folder, start_service
from labnb.sharing.leases import process_start


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The folder of this user's service, which ends after a moment of quiet."""
    made = tmp_path / "sharing"
    monkeypatch.setenv("LABNB_SHARING", str(made))
    monkeypatch.setattr(finding, "QUIET_S", 0.3)
    yield made
    if find_service() is not None:
        os.kill(pid_of(made), signal.SIGTERM)


def pid_of(folder):
    return json.loads((folder / "address.json").read_text())["pid"]


def gone(pid):
    """Wait until a process has ended, whoever started it."""
    until = time.monotonic() + 20
    while process_start(pid):
        assert time.monotonic() < until, "it does not end"
        time.sleep(0.005)
    return True


def test_it_ends_by_itself_when_nobody_needs_it_and_leaves_its_memory_only(folder):
    with ReservationClient() as client:
        held = client.reserve("psu")
        pid = pid_of(folder)
        began = time.monotonic()
        time.sleep(0.8)  # longer than the quiet that ends it
        assert client.situation().of("psu")[0].token == held.token, "what is reserved keeps it"
        held.release()
    assert gone(pid)
    assert time.monotonic() - began < 8
    start_service()
    assert not Path(f"/proc/{pid}").exists(), "not even a line in the table of processes"
    later = pid_of(folder)
    assert gone(later)
    assert find_service() is None
    assert sorted(each.name for each in folder.iterdir()) == ["reservations.jsonl", "reservations.jsonl.lock"]
    with ReservationClient() as client:
        assert client.situation().reservations == ()


def test_a_client_that_is_kept_finds_or_starts_the_next_service(folder):
    with ReservationClient() as client:
        client.reserve("psu").release()
        first, pid = client.address, pid_of(folder)
        assert gone(pid)
        with client.reserve("psu"):
            assert client.address == find_service()
            assert client.address != first
        assert client.situation().reservations == ()


def test_a_watcher_keeps_it(folder):
    with ReservationClient() as client:
        situations = client.watch()
        next(situations)
        pid = pid_of(folder)
        time.sleep(0.8)  # longer than the quiet that ends it
        assert pid_of(folder) == pid
        assert find_service() == client.address
        situations.close()


def test_a_holder_is_told_by_the_service_that_came_after_the_one_it_asked(folder):
    """The next service listens elsewhere: whoever holds something must still learn that it was taken away."""
    with ReservationClient() as client:
        kept, taken = client.reserve("psu"), client.reserve("dmm")
        lost = threading.Event()
        taken.on_lost(lambda why: lost.set())
        pid = pid_of(folder)
        os.kill(pid, signal.SIGKILL)
        assert gone(pid)
        with ReservationClient() as other:
            assert other.address != client.address
            assert len(other.situation().reservations) == 2
            other.force_release(taken.token, "needed")
            assert lost.wait(20)
            with pytest.raises(ReservationLost, match="needed"):
                taken.check()
            kept.check()
            kept.release()
            assert other.situation().reservations == ()


def test_who_waits_queues_again_when_the_service_was_killed(folder):
    with ReservationClient() as holder, ReservationClient() as waiter:
        held = holder.reserve("psu")
        waits, got = threading.Semaphore(0), []
        waiting = threading.Thread(
            target=lambda: got.append(waiter.reserve("psu", timeout=-1, on_wait=lambda _: waits.release()))
        )
        waiting.start()
        assert waits.acquire(timeout=20)
        pid = pid_of(folder)
        os.kill(pid, signal.SIGKILL)
        assert gone(pid)
        assert waits.acquire(timeout=20), "in the queue of the next one"
        held.release()
        waiting.join(20)
        got[0].check()
        got[0].release()


def test_a_release_is_told_to_the_next_service_too(folder):
    with ReservationClient() as client:
        held = client.reserve("psu")
        pid = pid_of(folder)
        os.kill(pid, signal.SIGKILL)
        assert gone(pid)
        held.release()
        assert client.situation().reservations == ()


def test_the_service_does_not_take_the_notebooks_folder_for_its_own(folder, tmp_path, monkeypatch):
    """A file of the user's that is called like a module is none of ours, and the folder can be unmounted."""
    (tmp_path / "grpc.py").write_text("raise SystemExit('the wrong one')\n")
    (tmp_path / "json.py").write_text("raise SystemExit('the wrong one')\n")
    monkeypatch.chdir(tmp_path)
    start_service()
    assert Path(f"/proc/{pid_of(folder)}/cwd").readlink() == folder


def test_a_relative_folder_is_one_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LABNB_SHARING", "here")
    address = start_service()
    try:
        assert find_service() == address == find_service(tmp_path / "here")
    finally:
        os.kill(pid_of(tmp_path / "here"), signal.SIGTERM)


def test_an_address_of_a_process_that_took_the_number_of_the_dead_is_none(folder):
    folder.mkdir()
    told = {"address": "127.0.0.1:1", "pid": os.getpid(), "started": "1"}
    (folder / "address.json").write_text(json.dumps(told))
    assert find_service() is None
    for text in ("", "{", "[]", '{"pid": 1}', '{"address": 1, "pid": "x", "started": 2}'):
        (folder / "address.json").write_text(text)
        assert find_service() is None
    with ReservationClient() as client:
        assert client.address != "127.0.0.1:1"


async def test_quiet_comes_after_the_last_call_and_not_while_it_is_needed():
    came = []
    quiet = Quiet(0.05, lambda: came.append(True))
    needed = iter([True, True, False, False, False])
    with quiet.call():
        assert not quiet.has_come
    await quiet.watch(lambda: next(needed, False))
    assert quiet.has_come
    assert came == [True]
    assert next(needed, None) is False


@pytest.mark.parametrize("text", ["0", "-1", "soon", "nan", "inf"])
def test_what_is_no_quiet_is_refused(text):
    done = subprocess.run(
        [sys.executable, "-m", "labnb.cli", "serve", "--until-quiet", text],
        capture_output=True, text=True, timeout=20, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert "is no time" in done.stderr


def test_why_a_service_cannot_start_is_told_once(folder):
    folder.mkdir()
    (folder / "reservations.jsonl").write_text("nonsense\n")
    with pytest.raises(ReservationError, match="not an entry of the journal"):
        ReservationClient()


def test_a_folder_that_another_user_has_made_in_advance_is_not_trusted(tmp_path, monkeypatch):
    monkeypatch.delenv("LABNB_SHARING", raising=False)
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
    monkeypatch.setattr(finding.tempfile, "gettempdir", lambda: str(tmp_path))
    own = service_folder()
    own.mkdir()
    assert service_folder() == own
    own.rmdir()
    own.symlink_to(tmp_path)
    with pytest.raises(ReservationError, match=r"is not a folder of yours.*LABNB_SHARING"):
        service_folder()
