"""Sessions of the reference package, in SQLite, are taken over."""

import os
import pickle
import sqlite3

import numpy as np
import pytest

from labnb.core import RecordError
from labnb.session.monitoring import SessionData

SCHEMA = """
CREATE TABLE log_names (name TEXT PRIMARY KEY);
CREATE TABLE log (rowid INTEGER PRIMARY KEY, timestamp DOUBLE, name TEXT, value DOUBLE, UNIQUE (name, timestamp));
CREATE TABLE dataset_names (name TEXT PRIMARY KEY);
CREATE TABLE dataset (rowid INTEGER PRIMARY KEY, timestamp INTEGER, name TEXT, data BLOB, UNIQUE (name, timestamp));
CREATE TABLE parameters (name TEXT PRIMARY KEY, value DOUBLE);
CREATE TABLE metadata (name TEXT PRIMARY KEY, value TEXT);
"""


class Evil:
    def __reduce__(self):
        return os.mkdir, (os.environ["EVIL"],)


@pytest.fixture
def old(tmp_path):
    path = tmp_path / "old.db"
    with sqlite3.connect(path) as db:
        db.executescript(SCHEMA)
        db.executemany("INSERT INTO log (timestamp, name, value) VALUES (?, ?, ?)",
                       [(1.6e9 + 0.25 * k, "T (°C)" if k % 2 else "p", None if k == 4 else k) for k in range(10)])  # fmt: skip
        db.executemany("INSERT INTO parameters VALUES (?, ?)", [("_database_version", 4.1), ("gain", 3.0)])
        db.execute("INSERT INTO metadata VALUES ('who', 'me')")
        db.execute("INSERT INTO dataset (timestamp, name, data) VALUES (1600000001.5, 'f', ?)",
                   (pickle.dumps(np.arange(4), protocol=4),))  # fmt: skip
    db.close()
    return path


def test_an_sqlite_session_is_taken_over_once_and_gone_on_with(old):
    for count in (6, 7):
        with pytest.warns(UserWarning, match="pickles"):
            sesn = SessionData(old, verbose=False)
        with sesn:
            sesn.add_entry(p=99.0)
            ts, values = sesn["p"]
            assert len(values) == count
            assert ts[:2].tolist() == [1.6e9, 1.6e9 + 0.5]
            assert np.isnan(values[2])
            assert sesn["T (°C)"][1].tolist() == [1, 3, 5, 7, 9]
            assert sesn.parameter("gain") == 3.0
            assert sesn.metadata("who") == "me"
            assert sesn.dataset_names() == set()


def test_its_pickles_are_loaded_only_for_who_trusts_the_file(old, tmp_path, monkeypatch):
    monkeypatch.setenv("EVIL", str(tmp_path / "evil"))
    with sqlite3.connect(old) as db:
        db.execute("INSERT INTO dataset (timestamp, name, data) VALUES (2, 'g', ?)", (pickle.dumps(Evil()),))
    db.close()
    with pytest.warns(UserWarning, match="trust_pickle=True"):
        SessionData(old, verbose=False).close()
    assert not (tmp_path / "evil").exists()
    with pytest.warns(UserWarning, match="'g' .* left out"):
        sesn = SessionData(old, verbose=False, trust_pickle=True)
    assert (tmp_path / "evil").exists()  # this is what trusting means
    assert sesn.dataset("f").tolist() == [0, 1, 2, 3]
    SessionData(old, verbose=False, trust_pickle=True)  # nothing is imported again
    assert len(sesn["p"][1]) == 5


def test_a_script_that_names_its_session_without_db_finds_it_too(old, monkeypatch):
    monkeypatch.chdir(old.parent)
    with pytest.warns(UserWarning, match="pickles"):
        assert SessionData("old", verbose=False)["p"][1][0] == 0


def test_a_db_of_another_kind_is_an_error(tmp_path):
    (tmp_path / "x.db").write_text("no")
    with pytest.raises(RecordError, match="no SQLite file"):
        SessionData(tmp_path / "x.db")
    db = sqlite3.connect(tmp_path / "y.db")
    db.execute("CREATE TABLE t (a)")
    db.close()
    with pytest.raises(RecordError, match="no table dataset, log, parameters"):
        SessionData(tmp_path / "y.db")
