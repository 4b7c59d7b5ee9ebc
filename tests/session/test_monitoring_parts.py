"""A long session is kept in several parts, one after the other, which nobody notices who logs or reads."""

import threading

import numpy as np
import pytest

from labnb.core import RecordError
from labnb.session.monitoring import SessionData, _parts


@pytest.fixture
def session(tmp_path, monkeypatch):
    monkeypatch.setattr(_parts, "KEEP", 16)
    monkeypatch.setattr(_parts, "MOST_BYTES", 4000)

    def opened(**options):
        return SessionData("night", verbose=False, store=tmp_path, **options)

    return opened


def fill(sesn, begin, parts):
    """Log until there are so many parts; return how many entries that took."""
    k = begin
    while len(sesn.stores()) < parts:
        sesn.add_entry(a=k, b=-k)
        k += 1
    return k


def test_entries_go_on_in_a_new_part_and_read_as_one(session):
    with session() as sesn:
        sesn.save_units(a="K")
        sesn.save_parameter(gain=2.0)
        sesn.add_dataset(trace=np.arange(3.0))
        count = fill(sesn, 0, 4)
        sesn.add_dataset(trace=np.arange(4.0))
        for _ in range(2):
            np.testing.assert_array_equal(sesn["a"][1], np.arange(count))
            np.testing.assert_array_equal(sesn.latest("b", 30)[1], -np.arange(count)[-30:])
            assert (np.diff(sesn["a"][0]) >= 0).all()
            assert sesn.logged_last_values()["a"][1] == count - 1
            assert sesn.logged_first_values()["b"][1] == 0
            assert [len(array) for _, array in sesn.datasets("trace")] == [3, 4]
            np.testing.assert_array_equal(sesn.data["a"]["a"], np.arange(count))
            assert [sesn.data[node][node].shape for node in ("trace", "trace_2")] == [(1, 3), (1, 4)]
            sesn.close()  # and the same of what has ended
    assert len({path.parent for path in sesn.stores().values()}) == 4
    with session(readonly=True) as again:
        np.testing.assert_array_equal(again["a"][1], np.arange(count))
        assert (again.parameter("gain"), again.units()) == (2.0, {"a": "K"})


def test_journals_of_parts_that_have_ended_are_given_back(session):
    with session() as sesn:
        fill(sesn, 0, 5)
        paths = [store.parent for store in sesn.stores().values()]
    assert not [path for path in paths if (path / "journal").exists()]
    assert not [thread for thread in threading.enumerate() if "next part" in thread.name]


def test_whoever_reads_in_another_object_follows_from_part_to_part(session):
    with session() as sesn:
        sesn.add_entry(a=0)
        assert len(sesn.data) == 1  # which shows it to others
        reader = session(readonly=True)
        assert reader["a"][1].tolist() == [0.0]
        count = fill(sesn, 1, 3)
        sesn.save_parameter(late=1.0)
        sesn.close()
        np.testing.assert_array_equal(reader["a"][1], np.arange(count))
        assert reader.parameter("late") == 1.0


def test_several_threads_log_across_parts_without_losing_an_entry(session):
    def log(name):
        for k in range(300):
            sesn.add_entry({name: k})
            if k % 23 == 0:
                sesn.save_parameter({f"p_{name}": k})

    with session() as sesn:
        threads = [threading.Thread(target=log, args=(name,)) for name in "abc"]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    with session(readonly=True) as again:
        assert len(again.stores()) > 2
        for name in "abc":
            np.testing.assert_array_equal(again[name][1], np.arange(300))
            assert again.parameter(f"p_{name}") == 299 // 23 * 23


def test_a_session_that_cannot_begin_a_new_part_goes_on_in_its_present_one(session, monkeypatch, capsys):
    with session() as sesn:
        sesn.verbose = True
        sesn.add_entry(a=0)
        refused = threading.Event()

        def full(*_):
            refused.set()
            raise RecordError("disk full")

        monkeypatch.setattr("labnb.session.monitoring.data.LivePart", full)
        k = 1
        while not refused.is_set():
            sesn.add_entry(a=k)
            k += 1
        sesn.add_entry(a=k)
        monkeypatch.undo()
        np.testing.assert_array_equal(sesn["a"][1], np.arange(k + 1))
    assert "disk full" in capsys.readouterr().out
    assert len(sesn.stores()) == 1
