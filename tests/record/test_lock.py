"""A run has one writer, on every system; whoever comes second is told who it is."""

import errno
import fcntl
import os
import subprocess
import sys
from pathlib import Path

import pytest

from labnb.core import RecordError, RunLocked
from labnb.record import Recorder, lock
from labnb.record.lock import by_msvcrt, is_locked, take_lock


class Msvcrt:
    """Locks one byte at the descriptor's position as Windows' module does, by what this system has for that."""

    LK_NBLCK, LK_UNLCK = 2, 0

    def __init__(self):
        self.places = set()

    def locking(self, descriptor, mode, count):
        self.places.add((os.lseek(descriptor, 0, os.SEEK_CUR), count))
        try:
            fcntl.flock(descriptor, fcntl.LOCK_UN if mode == self.LK_UNLCK else fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise OSError(errno.EACCES, "Permission denied") from error


def refused(number):
    def way(_descriptor, _shared):
        raise OSError(number, os.strerror(number))

    return way


@pytest.fixture
def path(tmp_path):
    (tmp_path / "iv-1").mkdir()
    return tmp_path / "iv-1" / "lock"


HOLD = """
import sys, fcntl
from pathlib import Path
from labnb.record import lock
lock.ways = lock.ways[int(sys.argv[2]):]
held = lock.take_lock(Path(sys.argv[1]))
print("held", flush=True)
sys.stdin.read()
"""


@pytest.mark.parametrize("first", [0, 1], ids=["flock", "POSIX's own"])
def test_another_process_is_told_who_holds_a_lock_and_gets_it_when_that_one_is_killed(path, monkeypatch, first):
    monkeypatch.setattr(lock, "ways", (*[refused(errno.ENOLCK)] * first, lock.ways[first]))
    command = [sys.executable, "-c", HOLD, str(path), str(first)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        assert is_locked(path)
        with pytest.raises(
            RunLocked, match=rf"iv-1 is being written by process {holder.pid} on .+; stop that run first"
        ):
            take_lock(path)
        holder.kill()
    assert not is_locked(path)
    os.close(take_lock(path))


@pytest.mark.parametrize("first", [0, 1], ids=["flock", "POSIX's own"])
def test_who_looks_at_a_run_in_the_process_that_writes_it_leaves_its_lock_alone(path, monkeypatch, first):
    monkeypatch.setattr(lock, "ways", (*[refused(errno.ENOLCK)] * first, lock.ways[first]))
    held = take_lock(path)
    for _ in range(2):  # looking has opened and closed the file
        assert is_locked(path)
        with pytest.raises(RunLocked, match=f"written by process {os.getpid()}"):
            take_lock(path)
    os.close(held)
    assert not is_locked(path)


def test_windows_locks_a_byte_behind_the_holders_name(path, monkeypatch):
    windows = Msvcrt()
    monkeypatch.setattr(lock, "ways", (by_msvcrt(windows),))
    held = take_lock(path, "packed")
    assert is_locked(path)
    with pytest.raises(RunLocked, match=rf"is being packed by process {os.getpid()} on .+; try again in a moment"):
        take_lock(path)
    os.close(held)
    for _ in range(2):
        assert not is_locked(path)
    os.close(take_lock(path))
    assert windows.places == {(1 << 30, 1)}
    assert path.stat().st_size < 200


def test_a_disk_without_any_locks_is_refused_before_anything_is_recorded(tmp_path, path, monkeypatch):
    monkeypatch.setattr(lock, "ways", (refused(errno.ENOTSUP), refused(errno.ENOLCK)))
    with pytest.raises(RecordError, match=r"cannot be locked: No locks available.*record on a local one") as told:
        take_lock(path)
    assert not isinstance(told.value, RunLocked)
    assert not is_locked(path)
    (tmp_path / "data").mkdir()
    with pytest.raises(RecordError, match="cannot be locked"):
        Recorder.create(tmp_path / "data", "iv", {})
    assert list((tmp_path / "data").iterdir()) == []


def test_an_error_that_is_no_lack_of_locks_is_not_passed_over(path, monkeypatch):
    tried = []
    monkeypatch.setattr(lock, "ways", (refused(errno.EIO), lambda *_: tried.append(1)))
    with pytest.raises(RecordError, match="Input/output error"):
        take_lock(path)
    assert not tried


def test_no_descriptor_is_left_when_a_lock_is_refused(path):
    held = take_lock(path)
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(5):
        with pytest.raises(RunLocked):
            take_lock(path)
    assert len(list(Path("/proc/self/fd").iterdir())) == before
    fcntl.flock(held, fcntl.LOCK_UN)
    os.close(held)
