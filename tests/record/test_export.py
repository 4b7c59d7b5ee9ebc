"""What other programs get: every point, its units, nothing that was not measured."""

import csv
import json

import numpy as np
import pytest
import xarray as xr

import labnb
from labnb.core import ABSENT, Axis, Group, PlanError, Point, RecordError, Span, State, Variable
from labnb.record import netcdf, open_run, packages, runs

T = Axis("temperature", (280.0, 300.0), "K", "stage temperature")
V = Axis("voltage", (0.0, 0.5, 1.0), "V", others=(Axis("gate", (1.0, 2.0, 4.0), "V"),))
MODE = Axis("mode", ("dc", "ac"))
LEVEL = Group(0, (T,), (Variable("stage", "K"),))
POINTS = Group(
    1,
    (T, V),
    (
        Variable("current", "A", notes="drain current"),
        Variable("ok", "", "|b1"),
        Variable("count", "", "<i8"),
        Variable("s", "V", "<c16"),
        Variable("trace", "V", "<f8", (Span("k", 4),)),
        Variable("frame", "", "<u2", (Span("row", 2), Span("column", 2))),
    ),
)
ONCE = Group(2, (), (Variable("offset", "V"),))
OTHER = Group(3, (MODE,), (Variable("gain", ""),))
BEGAN = 1_763_695_000_000_000_001


@pytest.fixture
def kinds(record):
    """Record a run of all kinds of values that was stopped before its end; return its folder."""
    recorder = record(note="of all kinds", settings={"range": 1e-3})
    for group in (ONCE, LEVEL, POINTS, OTHER):
        recorder.declare(group)
    recorder.put(Point(2, 0, (0.25,), BEGAN))
    recorder.put(Point(0, 0, (280.1,), BEGAN + 1))
    for k in range(3):
        trace, frame = np.arange(4.0) + k, np.full((2, 2), k, "u2")
        recorder.put(
            Point(
                1, k, (0.1 * k, bool(k % 2), 2**40 + k, complex(k, -k), trace, frame), BEGAN + 2 + k * 1_000_000_000_001
            )
        )
    recorder.put(Point(0, 1, (300.1,), BEGAN + 9))
    recorder.put(Point(3, 1, (3.5,), BEGAN + 10))
    recorder.close(State.STOPPED)
    return recorder.path


@pytest.fixture
def simple(record):
    recorder = record()
    recorder.declare(Group(0, (Axis("x", (1.0, 2.0), "mm"),), (Variable("y", "A"),)))
    recorder.put(Point(0, 0, (0.5,), BEGAN))
    recorder.close(State.STOPPED)
    return recorder.path


def rows_of(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_csv_has_units_in_its_header_and_a_row_for_each_measured_point(kinds, tmp_path):
    files = labnb.export(kinds, tmp_path / "all.csv")
    endings = ["", "-mode", "-temperature_voltage_k", "-temperature_voltage_row_column"]
    assert [file.name for file in files] == [f"all{ending}.csv" for ending in endings]
    rows = rows_of(files[0])
    units = ["temperature (K)", "voltage (V)", "gate (V)", "offset (V)", "stage (K)", "current (A)", "ok", "count"]
    assert list(rows[0])[:8] == units
    assert [row["current (A)"] for row in rows] == ["0.0", "0.1", "0.2", ""]
    assert [row["gate (V)"] for row in rows] == ["1.0", "2.0", "4.0", "1.0"]
    assert [row["count"] for row in rows[:3]] == [str(2**40 + k) for k in range(3)]
    assert [row["ok"] for row in rows] == ["False", "True", "False", ""]
    assert (rows[2]["s.real (V)"], rows[2]["s.imag (V)"]) == ("2.0", "-2.0")
    assert rows[0]["t (UTC)"] == "2025-11-21T03:16:40.000000003"
    assert (rows[3]["stage (K)"], rows[3]["t (UTC)"]) == ("300.1", "")  # no point followed this outer value: it is kept
    assert all(row["offset (V)"] == "0.25" for row in rows)
    assert [(row["mode"], row["gain"]) for row in rows_of(files[1])][-1] == ("ac", "3.5")
    traces = rows_of(files[2])
    assert [float(row["trace (V)"]) for row in traces] == [k + i for k in range(3) for i in range(4)]
    frames = rows_of(files[3])
    assert [row["frame"] for row in frames] == ["0"] * 4 + ["1"] * 4 + ["2"] * 4  # 65535, not measured, has no row


def test_whole_numbers_and_bools_have_their_own_type_in_tables(kinds):
    data = labnb.load(kinds)
    assert data["count"].dtype == float  # xarray's way to leave room for "not measured"
    first = data.labnb.slice(temperature=280).labnb.to_dataframe("count", "ok", "s")
    assert first["count"].dtype == np.int64
    assert first["count"].tolist() == [2**40, 2**40 + 1, 2**40 + 2]
    assert first["ok"].dtype == bool
    assert first["s"].dtype == complex
    assert first.attrs["units"]["s"] == "V"
    everything = data.labnb.tables()["temperature_voltage"]
    assert str(everything["ok"].dtype) == "boolean"
    assert str(everything["count"].dtype) == "Int64"
    assert everything["ok"].isna().tolist() == [False, False, False, True]


def test_a_table_of_named_variables_repeats_what_was_recorded_outside(kinds):
    data = labnb.load(kinds)
    table = data.labnb.to_dataframe("stage", "trace")
    assert len(table) == 13  # three traces of four, and the stage that no trace followed
    assert data.labnb.to_dataframe("stage").columns.tolist() == ["temperature", "stage", "t_once", "t_temperature"]
    with pytest.raises(PlanError, match=r"4 tables: 'temperature_voltage' .*say which variables"):
        data.labnb.to_dataframe()
    with pytest.raises(PlanError, match="no variable 'nothing'"):
        data.labnb.to_dataframe("nothing")


def test_a_value_that_was_left_out_is_empty_and_its_point_is_there(record, tmp_path):
    recorder = record()
    recorder.declare(Group(0, (Axis("x", (1.0, 2.0)),), (Variable("y", "A"), Variable("z"))))
    recorder.put(Point(0, 0, (ABSENT, 2.0), BEGAN))
    recorder.close(State.STOPPED)
    (file,) = labnb.export(recorder.path, tmp_path / "x.csv")
    assert [(row["x"], row["y (A)"], row["z"]) for row in rows_of(file)] == [("1.0", "", "2.0")]


@pytest.mark.parametrize(("dtype", "number"), [("<i8", -(2**60) - 1), ("<u8", 2**63 + 1)])
def test_whole_numbers_beyond_what_a_float_holds_stay_exact(record, tmp_path, dtype, number):
    recorder = record()
    recorder.declare(Group(0, (Axis("x", (1.0, 2.0)),), (Variable("n", "", dtype),)))
    for place in range(2):
        recorder.put(Point(0, place, (number + place,), BEGAN))
    recorder.close(State.DONE)
    assert labnb.load(recorder.path).n.values.tolist() == [number, number + 1]
    (file,) = labnb.export(recorder.path, tmp_path / "n.csv")
    assert [row["n"] for row in rows_of(file)] == [str(number), str(number + 1)]


def test_whole_numbers_that_had_to_be_rounded_are_said(record):
    recorder = record()
    recorder.declare(Group(0, (Axis("x", (1.0, 2.0)),), (Variable("n", "", "<i8"),)))
    recorder.put(Point(0, 0, (2**53 + 1,), BEGAN))
    recorder.close(State.STOPPED)
    with pytest.warns(UserWarning, match="rounded here because some are not measured"):
        data = labnb.load(recorder.path)
    with pytest.warns(UserWarning, match=r"n has whole numbers of 2\*\*53 and more"):
        data.labnb.to_dataframe()


def test_netcdf_gives_back_what_was_loaded(kinds, tmp_path):
    pytest.importorskip("h5py")
    data = labnb.load(kinds)
    data["current"].attrs["limits"] = {"low": None}
    (file,) = labnb.export(data, tmp_path / "all.nc")
    with xr.open_dataset(file, engine="h5netcdf") as opened:
        again = opened.load()
    assert json.loads(again["current"].attrs["limits"]) == {"low": None}
    again["current"].attrs["limits"] = data["current"].attrs["limits"]
    xr.testing.assert_identical(again, data)
    assert again.labnb.metadata["note"] == "of all kinds"
    assert again["s"].dtype == complex


def test_netcdf_by_netcdf4_holds_everything_too(kinds, tmp_path, monkeypatch):
    pytest.importorskip("netCDF4")
    monkeypatch.setattr(netcdf, "find_engine", lambda: "netcdf4")
    data = labnb.load(kinds)
    (file,) = labnb.export(data, tmp_path / "all.nc")
    with xr.open_dataset(file, engine="netcdf4", auto_complex=True) as opened:
        xr.testing.assert_equal(opened.load(), data)


def test_netcdf_by_scipy_splits_complex_numbers_and_keeps_times_exactly(kinds, tmp_path, monkeypatch):
    monkeypatch.setattr(netcdf, "find_engine", lambda: "scipy")
    data = labnb.load(kinds)
    (file,) = labnb.export(data, tmp_path / "all.nc")
    with xr.open_dataset(file, engine="scipy") as opened:
        again = opened.load()
    xr.testing.assert_equal(again.t, data.t)
    assert again.t.values[0, 0] == np.datetime64(BEGAN + 2, "ns")
    np.testing.assert_array_equal(again.s_imag.values, data.s.values.imag)
    assert again.s_real.attrs["units"] == "V"
    assert again["frame"].values[0, 2].tolist() == [[2, 2], [2, 2]]
    np.testing.assert_array_equal(again["count"].values, data["count"].values)
    assert data.t.encoding["dtype"] == np.int64  # the caller's data are as they were


def test_parquet_has_the_table_and_its_units(kinds, tmp_path):
    pandas = pytest.importorskip("pandas")
    pytest.importorskip("pyarrow")
    files = labnb.export(kinds, tmp_path / "all.parquet")
    assert len(files) == 4
    table = pandas.read_parquet(files[0])
    assert table.attrs["units"]["current"] == "A"
    assert json.loads(table.attrs["labnb"])["metadata"]["note"] == "of all kinds"
    assert table["s.imag"].tolist()[:3] == [0.0, -1.0, -2.0]
    assert table["t"][0] == pandas.Timestamp(BEGAN + 2)


def test_parquet_by_polars_is_the_same_table(kinds, tmp_path, monkeypatch):
    polars = pytest.importorskip("polars")
    monkeypatch.setattr("labnb.record.exporting.is_there", lambda *modules: modules == ("polars",))
    files = labnb.export(kinds, tmp_path / "all.parquet")
    table = polars.read_parquet(files[0])
    assert table["current"].to_list()[:3] == [0.0, 0.1, 0.2]
    assert table["ok"].to_list() == [False, True, False, None]
    assert polars.read_parquet(files[1])["mode"].to_list() == ["ac"]


def test_polars_gets_the_same_table_as_pandas(kinds):
    pytest.importorskip("polars")
    data = labnb.load(kinds)
    table = data.labnb.to_polars("current", "s")
    frame = data.labnb.to_dataframe("current", "s")
    assert table.columns[:4] == ["temperature", "voltage", "gate", "current"]
    assert table["current"].to_list() == frame["current"].tolist()
    assert table["s.imag"].to_list() == frame["s"].to_numpy().imag.tolist()


def test_a_run_writes_itself_and_a_running_one_what_it_has(record, tmp_path):
    recorder = record()
    recorder.declare(Group(0, (Axis("x", (1.0, 2.0)),), (Variable("y"),)))
    recorder.put(Point(0, 0, (0.5,), BEGAN))
    recorder.flush()
    (file,) = open_run(recorder.path).export(tmp_path / "now.csv")
    assert len(rows_of(file)) == 1


def test_nothing_is_overwritten_unless_asked(simple, tmp_path):
    target = tmp_path / "iv.csv"
    target.write_text("precious")
    with pytest.raises(RecordError, match="exists already; choose another name, or overwrite"):
        labnb.export(simple, target)
    assert target.read_text() == "precious"
    assert labnb.export(simple, target, overwrite=True) == (target,)
    assert sorted(path.name for path in tmp_path.glob("*iv*.csv*")) == ["iv.csv"]


def test_a_failed_export_leaves_nothing_behind(simple, tmp_path, mounted):
    disk = mounted("size=16k")
    (disk / "full").write_bytes(bytes(12 << 10))
    data = labnb.load(simple)
    big = xr.Dataset({"y": ("x", np.arange(10_000.0))}, attrs=data.attrs)
    with pytest.raises(RecordError, match=r"iv.csv cannot be written: No space left"):
        labnb.export(big, disk / "iv.csv")
    assert [path.name for path in disk.iterdir()] == ["full"]


@pytest.mark.parametrize(
    ("name", "to", "error", "told"),
    [
        ("iv.xlsx", None, PlanError, r"expected a name that ends in \.nc, \.csv, \.parquet"),
        ("iv.csv", "excel", PlanError, "expected one of netcdf, csv, parquet"),
        ("missing/iv.csv", None, RecordError, "make it first"),
        (".", "csv", RecordError, "is a folder"),
    ],
)
def test_a_target_that_cannot_be_is_said(simple, tmp_path, name, to, error, told):
    with pytest.raises(error, match=told):
        labnb.export(simple, tmp_path / name, to=to)


def test_what_is_no_run_is_said(tmp_path):
    with pytest.raises(PlanError, match="int cannot be exported"):
        labnb.export(5, tmp_path / "x.csv")
    with pytest.raises(RecordError, match="not a labnb run"):
        labnb.export(tmp_path, tmp_path / "x.csv")


def test_a_run_without_any_variable_makes_no_empty_table(record, tmp_path):
    recorder = record()
    recorder.close(State.STOPPED)
    with pytest.raises(RecordError, match="no variable yet"):
        labnb.export(recorder.path, tmp_path / "x.csv")


@pytest.mark.parametrize(("name", "told"), [("x.parquet", "pyarrow or polars"), ("x.nc", "h5netcdf and h5py")])
def test_a_package_that_lacks_is_named_with_the_way_to_get_it(simple, tmp_path, monkeypatch, name, told):
    monkeypatch.setattr(packages, "find_spec", lambda _: None)
    with pytest.raises(RecordError, match=rf"{told}.*pip install 'labnb\[analysis\]'"):
        labnb.export(simple, tmp_path / name)


# ---- several runs


def test_several_runs_are_one_tree(record, tmp_path, monkeypatch):
    monkeypatch.setenv("LABNB_CACHE", str(tmp_path / "cache"))
    paths = []
    for k in range(3):
        recorder = record(name=f"iv{k}")
        recorder.declare(Group(0, (Axis("x", (1.0, 2.0)),), (Variable("y", "A"),)))
        recorder.put(Point(0, 0, (0.5 + k,), BEGAN))
        recorder.close(State.DONE)
        paths.append(recorder.path)
    tree = labnb.load(paths)
    assert list(tree.children) == [path.name for path in paths]
    assert [float(node.y[0]) for node in tree.children.values()] == [0.5, 1.5, 2.5]
    assert float(tree.map_over_datasets(lambda data: data * 2)[paths[1].name].y[0]) == 3.0
    assert set(runs(tmp_path).tree().children) == set(tree.children)
    assert list(labnb.load([paths[0], open_run(paths[0])]).children) == [paths[0].name, f"{paths[0].name}-2"]
    with pytest.raises(PlanError, match="no run to load"):
        labnb.load([])


def test_many_runs_are_read_in_pieces_when_they_are_used(record, tmp_path, monkeypatch):
    dask_array = pytest.importorskip("dask.array")
    dask = pytest.importorskip("dask")
    monkeypatch.setenv("LABNB_CACHE", str(tmp_path / "cache"))
    for k in range(3):
        recorder = record(name="traces")
        recorder.declare(Group(0, (Axis("n", range(8)),), (Variable("y", "V", "<f8", (Span("k", 1000),)),)))
        for place in range(8):
            recorder.put(Point(0, place, (np.full(1000, 10.0 * k + place),), BEGAN))
        recorder.close(State.DONE)
    tree = runs(tmp_path).tree(chunks="auto")
    arrays = [node.y for node in tree.children.values()]
    assert all(isinstance(array.data, dask_array.Array) for array in arrays)
    with dask.config.set(scheduler="synchronous"):
        means = dask.compute(*(array.mean() for array in arrays))
    assert sorted(map(float, means)) == [3.5, 13.5, 23.5]


def test_reading_in_pieces_without_dask_says_what_to_install(simple, monkeypatch):
    monkeypatch.setattr(packages, "import_module", lambda name: __import__(f"{name}_is_missing"))
    with pytest.raises(RecordError, match=r"pip install 'labnb\[cluster\]'"):
        labnb.load(simple, chunks="auto")
