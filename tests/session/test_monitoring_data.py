"""What a monitoring session logs and saves, and gives back."""

import json
import math
import subprocess
import sys

import numpy as np
import pytest
import xarray as xr
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from labnb.core import LifecycleError, PlanError, RunLocked, SchemaError
from labnb.session.monitoring import SessionData, _parts
from labnb.session.monitoring._parts import KEEP


@pytest.fixture
def open_session(tmp_path):
    def opened(name="oven", **options):
        return SessionData(name, verbose=False, store=tmp_path, **options)

    return opened


def test_scalars_of_every_kind_are_logged_at_one_time_and_given_back_as_floats(open_session):
    with open_session() as sesn:
        sesn.add_entry({"a": 1, "b": True}, c=math.nan, d=-math.inf, e=np.float32(0.5), f=np.int64(7), g=np.array(2.5))
        assert {name: values.tolist()[0] for name, (_, values) in sesn.logged_data().items() if name != "c"} == {
            "a": 1.0, "b": 1.0, "d": -math.inf, "e": 0.5, "f": 7.0, "g": 2.5
        }  # fmt: skip
        assert math.isnan(sesn["c"][1][0])
        assert len({ts for ts, _ in sesn.logged_last_values().values()}) == 1


@pytest.mark.parametrize(
    ("value", "hint"),
    [
        ("warm", "save_metadata"),
        ([1.0], "add_dataset"),
        (np.ones(1), "add_dataset"),
        (1j, "x_real and x_imag"),
        (None, "expected a number"),
        (2**53 + 1, "exactly"),
    ],
)
def test_what_is_no_number_is_refused_with_the_way_to_go_and_nothing_of_its_entry_is_logged(open_session, value, hint):
    with open_session() as sesn, pytest.raises(SchemaError, match=hint):
        sesn.add_entry(good=1.0, x=value)
    assert sesn.logged_variables() == set()


def test_a_name_that_was_not_logged_is_a_key_error_that_lists_the_names(open_session):
    with open_session() as sesn:
        sesn.add_entry(pressure=1.0, flow=2.0)
        with pytest.raises(KeyError, match=r"presure.*flow, pressure"):
            sesn["presure"]


@settings(max_examples=25, deadline=None)
@given(st.lists(st.sampled_from("abc"), max_size=60), st.integers(0, 60))
def test_what_is_given_back_is_what_was_logged_whenever_variables_appear(tmp_path_factory, names, at):
    with SessionData("h", verbose=False, store=tmp_path_factory.mktemp("h")) as sesn:
        logged = {name: [k for k, each in enumerate(names) if each == name] for name in set(names)}
        for k, name in enumerate(names):
            sesn.add_entry({name: k})
        assert {n: v.tolist() for n, (_, v) in sesn.logged_data().items()} == logged
        assert {n: v for n, (_, v) in sesn.logged_first_values().items()} == {n: v[0] for n, v in logged.items()}
        assert {n: v for n, (_, v) in sesn.logged_last_values().items()} == {n: v[-1] for n, v in logged.items()}
        if names:
            ts, values = sesn[names[0]]
            k = min(at, len(ts) - 1)
            later, rest = sesn.logged_data_fromtimestamp(names[0], ts[k])
            assert later[0] == ts[k]
            assert rest.tolist() == [v for t, v in zip(ts, values, strict=True) if t >= ts[k]]
    assert {n: v.tolist() for n, (_, v) in sesn.logged_data().items()} == logged


def test_memory_holds_only_the_latest_entries_and_all_of_them_are_given_back(open_session):
    with open_session() as sesn:
        for k in range(5 * KEEP):
            sesn.add_entry(a=k)
            if k % KEEP == 0:
                sesn._show()
        (log,) = sesn._live._numbers.values()
        assert len(log.times) <= 2 * KEEP
        assert sesn["a"][1].tolist() == list(range(5 * KEEP))
        ts = sesn["a"][0][3]
        assert sesn.logged_data_fromtimestamp("a", ts)[1].tolist()[:2] == [3, 4]
        assert sesn.latest("a", 3 * KEEP)[1][0] == 2 * KEEP


def test_from_a_timestamp_on_nothing_is_two_empty_arrays(open_session):
    with open_session() as sesn:
        sesn.add_entry(a=1)
        for name, ts in (("a", math.inf), ("a", 1e12), ("b", 0), ("a", math.nan)):
            times, values = sesn.logged_data_fromtimestamp(name, ts)
            assert len(times) == len(values) == 0
        assert len(sesn.logged_data_fromtimestamp("a", -math.inf)[0]) == 1


def test_reopening_appends_and_goes_on_with_parameters_and_texts(open_session):
    with open_session() as sesn:
        sesn.add_entry(a=1)
        sesn.save_parameter(gain=2, nothing=math.nan)
        sesn.save_metadata(who="me")
        sesn.save_units(a="V")
    with open_session() as sesn:
        sesn.add_entry(a=2, b=3)
        sesn.add_parameter(gain=5)
        assert sesn.parameter("gain") == 5.0
        assert math.isnan(sesn.parameters()["nothing"])
        assert sesn.has_parameter("gain")
        assert not sesn.has_parameter("loss")
        assert sesn.parameter("loss") is None
        assert sesn.metadata("who") == "me"
        assert sesn.metadatas() == {"who": "me"}
        assert sesn["a"][1].tolist() == [1, 2]
        assert sesn.data["a"]["a"].values.tolist() == [1, 2]
        assert sesn.data["a"]["a"].attrs["units"] == "V"
        assert len(sesn.stores()) == 2
    assert open_session(readonly=True)["a"][1].tolist() == [1, 2]


class Reading(float):
    """A number with its unit, as instruments give it."""

    def __new__(cls, value, unit):
        made = super().__new__(cls, value)
        made.unit = unit
        return made


def test_a_variable_keeps_its_unit_once_it_has_entries(open_session):
    with open_session() as sesn:
        sesn.add_entry(a=1.0, b=Reading(2.0, "V"))
        sesn.save_units(a="K", c="A", d="m")
        sesn.save_units(c="mA", a="K")  # of one nothing was logged, the other stays
        with pytest.raises(PlanError, match=r"'b' has 1 entries in V already.*mV.*another name"):
            sesn.save_units(d="s", b="mV")
        with pytest.raises(SchemaError, match=r"'b' comes in A, but is logged in V"):
            sesn.add_entry(a=2.0, b=Reading(3.0, "A"))
        sesn.add_entry(b=3.0)
        assert sesn.units() == {"a": "K", "b": "V", "c": "mA", "d": "m"}
        assert (sesn["a"][1].tolist(), sesn["b"][1].tolist()) == ([1.0], [2.0, 3.0])
    with open_session() as sesn, pytest.raises(SchemaError, match="logged in K"):
        sesn.add_entry(a=Reading(1.0, "mK"))


def test_a_session_that_may_not_be_written_says_so(open_session):
    with pytest.raises(PlanError, match="no session 'oven' to read"):
        open_session(readonly=True)
    with open_session() as sesn:
        sesn.add_entry(a=1)
        with pytest.raises(RunLocked, match="readonly=True"):
            open_session().add_entry(a=2)
        reader = open_session(readonly=True)
        sesn._show()
        assert reader["a"][1].tolist() == [1]
        with pytest.raises(LifecycleError, match="readonly"):
            reader.add_entry(a=2)
    with pytest.raises(LifecycleError, match="closed"):
        sesn.add_entry(a=3)
    with pytest.raises(PlanError, match="exists already"):
        open_session(exist_ok=False)


def test_a_session_without_a_name_is_kept_and_says_where(tmp_path, capsys):
    with SessionData(store=tmp_path) as sesn:
        sesn.add_entry(a=1)
    assert str(sesn.path if sesn._live else sesn._past[-1].path) in capsys.readouterr().out
    assert len(list(tmp_path.glob("*/*/*/*/data.zarr"))) == 1
    with SessionData(store=tmp_path, verbose=False) as other:
        assert other.logged_variables() == set()


def test_parameters_and_texts_of_the_wrong_kind_name_the_other_way(open_session):
    with open_session() as sesn:
        with pytest.raises(SchemaError, match="save_metadata"):
            sesn.save_parameter(x="text")
        with pytest.raises(SchemaError, match="save_parameter"):
            sesn.save_metadata(x=1)
        with pytest.raises(PlanError, match="expected dicts and keywords"):
            sesn.save_parameter(3)


def test_datasets_of_any_shape_are_given_back_with_their_dtype(open_session):
    frames = [np.full((3, 4), k, np.uint8) for k in range(3)]
    arrays = [*frames, np.array([1.5, 2.5]), np.array([True, False]), frames[0], np.ones(2, np.complex128)]
    with open_session() as sesn:
        for array in arrays:
            sesn.add_dataset(f=array)
        check(sesn, arrays)
    check(open_session(readonly=True), arrays)


def check(sesn, arrays):
    assert sesn.dataset_names() == {"f"}
    times = sesn.dataset_times("f")
    assert (np.diff(times) >= 0).all()
    for (ts, got), wanted in zip(sesn.datasets("f"), arrays, strict=True):
        np.testing.assert_array_equal(got, wanted)
        assert got.dtype == wanted.dtype
        assert ts in times
    assert sesn.dataset("f", n=1).tolist() == arrays[1].tolist()
    assert sesn.dataset("f", ts=times[2]).tolist() == arrays[2].tolist()
    np.testing.assert_array_equal(sesn.dataset("f"), arrays[-1])
    np.testing.assert_array_equal(sesn.dataset_last_data("f")[1], arrays[-1])
    with pytest.raises(KeyError, match="nearest is at"):
        sesn.dataset("f", ts=0.0)
    with pytest.raises(IndexError, match="7 items"):
        sesn.dataset("f", n=7)
    with pytest.raises(KeyError, match="no dataset 'g'"):
        sesn.datasets("g")


@pytest.mark.parametrize(
    ("value", "hint"),
    [
        ({"a": 1}, "never pickled"),
        ("text", "save_metadata"),
        (3.0, "add_entry"),
        (np.empty(0), "empty"),
        ([[1], [1, 2]], "ragged"),
        (np.array([object()]), "never pickled"),
    ],
)
def test_what_is_no_array_of_numbers_is_never_pickled(open_session, value, hint):
    with open_session() as sesn, pytest.raises(SchemaError, match=hint):
        sesn.add_dataset(x=value)


def test_names_that_no_disk_takes_and_names_of_times_are_logged_all_the_same(open_session):
    names = {"T (°C)", "2theta", "a", "time_a", "a/b", "a_b", "zarr.json", "x" * 300, "_hidden"}
    with open_session() as sesn:
        sesn.add_entry(dict.fromkeys(names, 1.0))
        sesn.add_dataset(a=[1.0])
        assert sesn.logged_variables() == names
    again = open_session(readonly=True)
    assert again.logged_variables() == names
    assert again.dataset_names() == {"a"}


def test_any_process_reads_the_store_of_a_running_session_by_plain_xarray(open_session):
    with open_session() as sesn:
        sesn.add_entry(pressure=1.5)
        sesn.save_units(flow="l/min")
        sesn.add_entry(flow=2.0)
        sesn._show()
        (store,) = sesn.stores().values()
        code = (
            "import sys, json, xarray as xr; d = xr.open_zarr(sys.argv[1]); "
            "print(json.dumps([d.pressure.values.tolist(), d.flow.units, str(d.time_pressure.dtype), d.pressure.dims]))"
        )
        done = subprocess.run(
            [sys.executable, "-W", "error", "-c", code, store], capture_output=True, text=True, check=True
        )
    assert json.loads(done.stdout) == [[1.5], "l/min", "datetime64[ns]", ["time_pressure"]]


def test_everything_is_one_datatree_with_the_dimension_time(open_session):
    with open_session() as sesn:
        sesn.add_entry(a=1.0, b=2.0)
        sesn.add_entry(a=2.0)
        sesn.save_parameter(gain=3)
        sesn.add_dataset(trace=np.arange(3.0))
        tree = sesn.data
        assert isinstance(tree, xr.DataTree)
        assert tree["a"]["a"].dims == ("time",)
        assert tree["a"]["a"].values.tolist() == [1, 2]
        assert tree["b"].sizes == {"time": 1}
        assert tree["trace"]["trace"].values.tolist() == [[0, 1, 2]]
        assert tree.attrs["gain"] == 3.0


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.integers(-3, 4), min_size=1, max_size=150), st.data())
def test_a_time_finds_every_later_entry_whatever_is_on_disk_and_however_the_clock_was_set(
    tmp_path_factory, monkeypatch, steps, data
):
    monkeypatch.setattr(_parts, "KEEP", 8)
    monkeypatch.setattr(_parts, "PIECE", 16)
    times = np.cumsum([1000, *steps]).astype(float)
    cut = data.draw(st.integers(0, len(times)))
    root = tmp_path_factory.mktemp("clock")
    for part in (range(cut), range(cut, len(times))):
        with SessionData("s", verbose=False, store=root) as sesn:
            for k in part:
                sesn._part().put({"a": k}, int(times[k]) * 10**9, {})
                if k % 7 == 0:
                    sesn._show()
            if part.stop < len(times) or not part:
                continue
            for since in data.draw(st.lists(st.integers(int(times.min()) - 1, int(times.max()) + 1), max_size=5)):
                ts, values = sesn.logged_data_fromtimestamp("a", since)
                later = np.flatnonzero(times >= since)
                np.testing.assert_array_equal(values, later)
                np.testing.assert_array_equal(ts, times[later])
                assert sesn.place_from("a", since) == (later[0] if len(later) else len(times))
            begin = data.draw(st.integers(0, len(times)))
            np.testing.assert_array_equal(sesn.logged_piece("a", begin, begin + 40)[0], times[begin : begin + 40])
            np.testing.assert_array_equal(sesn.latest("a", begin + 1)[0], times[-begin - 1 :])
