"""`ds.labnb`: what people do with data after they were measured."""

import json
import subprocess
import sys
from unittest import mock

import matplotlib as mpl
import numpy as np
import pytest
import xarray as xr

import labnb
from labnb.core import Axis, Group, PlanError, Point, RecordError, Span, State, Variable
from labnb.record import packages

TEMPERATURES = (280.0, 300.0, 320.0)
VOLTAGES = tuple(float(v) for v in np.round(np.linspace(0, 1, 11), 10))


@pytest.fixture(autouse=True)
def no_screen():
    """Draw nowhere, and leave no figure behind."""
    from matplotlib import pyplot as plt

    with mpl.rc_context():
        plt.switch_backend("agg")
        yield
        plt.close("all")


def current(temperature, voltage):
    return 1e-3 * voltage * temperature / 300 + 2e-5


@pytest.fixture
def path(record):
    """Record lines over temperature; return the run's folder."""
    recorder = record(note="lines", source="for ...")
    t = Axis("temperature", TEMPERATURES, "K", "stage temperature")
    v = Axis("voltage", VOLTAGES, "V", others=(Axis("gate", tuple(10 * v for v in VOLTAGES), "V"),))
    variables = (Variable("current", "A", notes="drain current"), Variable("s", "V", "<c16"))
    recorder.declare(Group(0, (t, v), (*variables, Variable("trace", "V", "<f8", (Span("k", 4),)))))
    for i, temperature in enumerate(TEMPERATURES):
        for j, voltage in enumerate(VOLTAGES):
            values = (current(temperature, voltage), complex(3, 4) * voltage, np.arange(4.0))
            recorder.put(Point(0, i * len(VOLTAGES) + j, values, 1_763_695_000_000_000_000 + j))
    recorder.close(State.DONE)
    return recorder.path


@pytest.fixture
def data(path):
    return labnb.load(path)


@pytest.fixture
def wandering(record):
    """Record a there-and-back sweep with an axis of texts; return its data."""
    recorder = record(name="loop")
    recorder.declare(
        Group(0, (Axis("mode", ("dc", "ac")), Axis("field", (0.0, 1.0, 2.0, 1.0, 0.0), "T")), (Variable("m", ""),))
    )
    for place in range(10):
        recorder.put(Point(0, place, (float(place),), 1))
    recorder.close(State.DONE)
    return labnb.load(recorder.path)


# ---- what the data are of


def test_the_data_know_their_run(data, path):
    assert data.labnb.name == "iv"
    assert data.labnb.run_id == path.name[16:]
    assert data.labnb.state is State.DONE
    assert data.labnb.metadata["note"] == "lines"
    data.labnb.stored.tag("good")
    assert json.loads((path / "run.json").read_text())["tags"] == ["good"]
    assert "run iv-" in repr(data.labnb)


def test_plain_xarray_has_it_after_one_import(path):
    code = (
        "import sys, xarray as xr, labnb.xarray; d = xr.open_zarr(sys.argv[1]); "
        "print(d.labnb.metadata['note'], d.labnb.slice(temperature=300).labnb.label('current'), d.labnb.stored.name)"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code, path / "data.zarr"], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "lines drain current (A) iv"


def test_data_of_no_run_say_so():
    with pytest.raises(RecordError, match="do not say which run"):
        xr.Dataset().labnb.name  # noqa: B018
    with pytest.raises(RecordError, match=r"not opened from a run's folder"):
        xr.Dataset().labnb.stored  # noqa: B018
    assert "no known run" in repr(xr.Dataset(attrs={"labnb": "{"}).labnb)


# ---- slice


def test_a_number_is_the_nearest_value_and_a_pair_what_is_between(data):
    part = data.labnb.slice(temperature=299.2, voltage=(0.2, 0.5))
    assert part.current.dims == ("voltage",)
    assert float(part.temperature) == 300
    assert part.voltage.values.tolist() == [0.2, 0.3, 0.4, 0.5]
    assert data.labnb.slice(voltage=(0.85, None)).voltage.values.tolist() == [0.9, 1.0]
    assert data.labnb.slice(voltage=(None, 0.1)).sizes["voltage"] == 2
    assert data.labnb.slice(temperature=[320, 280]).temperature.values.tolist() == [320, 280]
    assert data.labnb.slice(voltage=slice(0.2, 0.3)).sizes["voltage"] == 2


def test_an_axis_in_lock_step_and_a_dimension_without_values_can_be_sliced(data):
    assert data.labnb.slice(gate=(2, 5)).voltage.values.tolist() == [0.2, 0.3, 0.4, 0.5]
    assert data.labnb.slice(k=2).trace.values.tolist() == [[2.0] * 11] * 3


def test_an_axis_that_turns_gives_every_place_that_has_the_value(wandering):
    assert wandering.labnb.slice(mode="ac", field=1).m.values.tolist() == [6.0, 8.0]
    assert wandering.labnb.slice(mode="dc", field=(0.5, 2)).m.values.tolist() == [1.0, 2.0, 3.0]
    assert float(wandering.labnb.slice(mode="dc", field=2).m) == 2.0


@pytest.mark.parametrize(
    ("wanted", "told"),
    [
        ({"temperature": 350}, r"temperature=350: nothing was swept near it; the axis goes from 280 to 320 K"),
        ({"voltage": (1.5, 2)}, r"nothing was swept there; the axis goes from 0 to 1 V"),
        ({"voltage": (0, 1, 2)}, r"expected \(from, to\)"),
        ({"voltage": "0.5"}, "expected a number"),
        ({"voltage": slice(0, 1, 2)}, "a slice with a step"),
        ({"current": 1}, "'current' is a variable, not an axis; expected one of: temperature, "),
        ({"volts": 1}, "'volts' is not there"),
        ({"t": 1}, "'t' cannot be sliced: it runs over temperature, voltage"),
        ({"temperature": float("nan")}, "nothing was swept near it"),
    ],
)
def test_a_part_that_is_not_there_is_said_with_what_is(data, wanted, told):
    with pytest.raises(PlanError, match=told):
        data.labnb.slice(**wanted)


def test_a_text_that_is_not_there_is_said(wandering):
    with pytest.raises(PlanError, match="mode='rf' is not there; there are: dc, ac"):
        wandering.labnb.slice(mode="rf")
    with pytest.raises(PlanError, match="has one value left"):
        wandering.labnb.slice(mode="dc").labnb.slice(mode="ac")


# ---- plot


def test_a_curve_has_names_units_and_what_was_held(data):
    axes = data.labnb.slice(temperature=300).labnb.plot("current", marker="o")
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("voltage (V)", "drain current (A)")
    assert axes.get_title() == "temperature = 300 K"
    np.testing.assert_allclose(axes.lines[0].get_ydata(), current(300, np.array(VOLTAGES)))


def test_a_short_axis_makes_curves_with_a_legend_and_a_long_one_a_map(data):
    axes = data.labnb.plot()
    assert len(axes.lines) == 3
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("voltage (V)", "drain current (A)")
    assert axes.get_legend().get_title().get_text() == "stage temperature (K)"
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["280.0", "300.0", "320.0"]
    axes.figure.clear()
    wide = xr.concat(
        [data.current.assign_coords(temperature=data.temperature + 60 * k) for k in range(4)], "temperature"
    )
    axes = wide.to_dataset().labnb.plot("current")
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("voltage (V)", "stage temperature (K)")
    assert axes.figure.axes[1].get_ylabel() == "drain current (A)"


def test_the_roles_of_axes_can_be_chosen(data):
    axes = data.labnb.plot("current", x="temperature")
    assert len(axes.lines) == 11
    assert axes.get_xlabel() == "stage temperature (K)"
    axes.figure.clear()
    assert data.labnb.plot("current", hue="voltage").get_legend().get_title().get_text() == "voltage (V)"


def test_complex_values_are_drawn_by_a_part_of_them(data):
    one = data.labnb.slice(temperature=300)
    axes = one.labnb.plot("s")
    assert axes.get_ylabel() == "|s| (V)"
    np.testing.assert_allclose(axes.lines[0].get_ydata(), 5 * np.array(VOLTAGES))
    axes.figure.clear()
    assert one.labnb.plot("s", part="phase").get_ylabel() == "arg s (rad)"
    assert data.s.attrs == {"units": "V"}


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"name": "trace"}, r"'trace' runs over temperature, voltage, k; .*slice\(axis=value\)"),
        ({"name": "nothing"}, "there are: current, s, trace"),
        ({"name": "current", "x": "k"}, "x='k' is no axis of 'current'"),
        ({"name": "current", "part": "abs"}, "is not complex"),
        ({"name": "s", "part": "size"}, "expected one of abs, phase, real, imag"),
    ],
)
def test_what_cannot_be_drawn_is_said(data, options, told):
    with pytest.raises(PlanError, match=told):
        data.labnb.plot(**options)


# ---- assign


def test_a_derived_quantity_has_its_unit_and_may_use_an_earlier_one(data):
    more = data.labnb.assign(
        conductance=("S", lambda d: d.current / d.voltage),
        resistance=("ohm", lambda d: 1 / d.conductance, "sheet resistance"),
    )
    assert more.conductance.attrs == {"units": "S"}
    assert more.labnb.label("resistance") == "sheet resistance (ohm)"
    assert float(more.resistance.sel(temperature=300, voltage=1)) == pytest.approx(1 / 1.02e-3)
    assert "conductance" not in data
    assert data.current.attrs["units"] == "A"
    assert more.labnb.name == "iv"


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"r": lambda d: d.current}, r"expected \(unit, function of the data\)"),
        ({"r": (1, 2)}, r"expected \(unit, function of the data\)"),
        ({"current": ("A", lambda d: d.current)}, "there is already a 'current'"),
        ({"r": ("V", lambda d: 5)}, "got int; expected an array over temperature, voltage"),
        ({"r": ("V", lambda d: xr.DataArray([1], dims="z"))}, r"got DataArray over \('z',\)"),
    ],
)
def test_what_is_no_derived_quantity_is_said(data, given, told):
    with pytest.raises(PlanError, match=told):
        data.labnb.assign(**given)


# ---- fit


def line(voltage: "V", slope: "S", offset: "A"):  # noqa: F821
    return slope * voltage + offset


def test_a_fit_gives_parameters_with_units_errors_and_the_curve(data):
    pytest.importorskip("scipy")
    found = data.labnb.fit("current", "voltage", line)
    assert found.slope.dims == ("temperature",)
    np.testing.assert_allclose(found.slope, 1e-3 * np.array(TEMPERATURES) / 300, rtol=1e-6)
    np.testing.assert_allclose(found.offset, 2e-5, rtol=1e-5)
    assert found.slope.attrs == {"units": "S"}
    assert found.slope_error.attrs == {"units": "S", "long_name": "standard error of slope"}
    assert float(found.slope_error.max()) < 1e-9
    np.testing.assert_allclose(found.current_fit, data.current, rtol=1e-6)
    assert found.current_fit.dims == data.current.dims
    assert found.labnb.label("current_fit") == "drain current, fit (A)"


def test_a_fit_over_two_axes_and_units_given_beside_the_function(data):
    pytest.importorskip("scipy")

    def plane(temperature, voltage, g, offset):
        return g * voltage * temperature + offset

    found = data.labnb.fit("current", ["temperature", "voltage"], plane, units={"g": "S/K"}, p0={"g": 1e-6})
    assert float(found.g) == pytest.approx(1e-3 / 300, rel=1e-6)
    assert found.g.attrs == {"units": "S/K"}
    assert found.offset.attrs == {}
    assert found.g.dims == ()
    np.testing.assert_allclose(found.current_fit, data.current, rtol=1e-6)


def test_a_fit_along_an_axis_in_lock_step_starts_where_the_function_says(data):
    pytest.importorskip("scipy")
    started = []

    def half(gate, slope=0.25):
        started.append(slope)
        return slope * gate + 2e-5

    found = data.labnb.fit("current", "gate", half)
    assert started[0] == 0.25
    np.testing.assert_allclose(found.slope, 1e-4 * np.array(TEMPERATURES) / 300, rtol=1e-6)
    assert found.current_fit.dims == ("temperature", "voltage")


def test_a_fit_leaves_out_what_was_not_measured_and_what_was_too_much_for_the_meter(data):
    pytest.importorskip("scipy")
    gap = data.assign(current=data.current.where(data.voltage > 0.25).where(data.voltage != 0.5, np.inf))
    found = gap.labnb.fit("current", "voltage", line)
    np.testing.assert_allclose(found.offset, 2e-5, rtol=1e-4)
    assert bool(found.current_fit.notnull().all())


def test_a_fit_that_fails_at_one_place_can_leave_it_out(data):
    pytest.importorskip("scipy")
    empty = data.assign(current=data.current.where(data.temperature > 290))

    def jagged(voltage, a):
        if a > 1.5:
            raise RuntimeError("no")
        return voltage * a

    with pytest.raises(PlanError, match=r"cannot be fitted along voltage: no; give start values, p0="):
        data.labnb.fit("current", "voltage", jagged, p0={"a": 2.0})
    found = empty.labnb.fit("current", "voltage", line)
    assert np.isnan(found.slope.values[0])
    assert np.isfinite(found.slope.values[1:]).all()


@pytest.mark.parametrize(
    ("name", "along", "function", "units", "told"),
    [
        ("nothing", "voltage", line, {}, "no variable 'nothing'"),
        ("current", "k", line, {}, "'k' is no axis of 'current'"),
        ("s", "voltage", line, {}, "'s' is complex; fit a part of it"),
        (
            "current",
            "temperature",
            line,
            {},
            "'voltage' of the function is in 'V', but the axis 'temperature' is in 'K'",
        ),
        ("current", "voltage", lambda v: v, {}, "and then one or more parameters"),
        ("current", "voltage", lambda v, *p: v, {}, "each by its name"),
        ("current", "voltage", line, {"b": "V"}, r"units for \['b'\], but the function's parameters are slope, offset"),
    ],
)
def test_what_cannot_be_fitted_is_said(data, name, along, function, units, told):
    pytest.importorskip("scipy")
    with pytest.raises(PlanError, match=told):
        data.labnb.fit(name, along, function, units=units)


def test_without_scipy_a_fit_says_what_to_install(data):
    with (
        mock.patch.object(packages, "import_module", side_effect=ImportError("scipy")),
        pytest.raises(RecordError, match=r"a fit needs scipy.optimize.*pip install 'labnb\[analysis\]'"),
    ):
        data.labnb.fit("current", "voltage", line)


# ---- units


def test_quantities_with_units_come_from_what_is_stored(data):
    pytest.importorskip("pint_xarray")
    with_units = data.labnb.quantify()
    power = (with_units.current * with_units.voltage).pint.to("mW")
    assert f"{power.pint.units:~}" == "mW"
    assert float(power.pint.magnitude.max()) == pytest.approx(1e3 * current(320, 1))
