"""Importing labnb is nearly free, changes nothing, and its public names are what they say."""

import json
import os
import subprocess
import sys

import pytest

import labnb

HEAVY = ("numpy", "xarray", "zarr", "pandas", "matplotlib", "pyvisa", "IPython", "ipywidgets", "bqplot", "asyncio")


def fresh(code, cwd=None):
    """Run code in a new interpreter; return what it printed."""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=cwd)
    return done.stdout.strip()


def test_import_labnb_loads_nothing_heavy():
    loaded = json.loads(fresh("import sys, json, labnb; print(json.dumps(sorted(sys.modules)))"))
    assert [name for name in HEAVY if name in loaded] == []


@pytest.mark.speed
def test_import_labnb_is_within_30_ms_of_a_bare_interpreter():
    code = "import time; begin = time.perf_counter(); import labnb; print(time.perf_counter() - begin)"
    best = min(float(fresh(code)) for _ in range(5))
    print(f"import labnb: {best * 1e3:.1f} ms")
    assert best < 0.030


def test_import_writes_no_file_and_starts_no_thread(tmp_path):
    code = "import threading, labnb; [getattr(labnb, n) for n in labnb.__all__]; print(threading.active_count())"
    assert fresh(code, cwd=tmp_path) == "1"
    assert list(tmp_path.iterdir()) == []


def test_loading_the_extension_takes_less_than_four_times_what_its_widgets_take():
    peer = "import time, IPython, ipykernel, numpy; b = time.perf_counter(); import bqplot, ipywidgets; print(time.perf_counter() - b)"
    code = (
        "import time, IPython, ipykernel, numpy; from IPython.core.interactiveshell import InteractiveShell; "
        "shell = InteractiveShell(); b = time.perf_counter(); shell.run_line_magic('load_ext', 'labnb'); "
        "print(time.perf_counter() - b)"
    )
    ours = min(float(fresh(code)) for _ in range(3))
    widgets = min(float(fresh(peer)) for _ in range(3))
    print(f"%load_ext labnb: {ours:.3f} s; bqplot and ipywidgets alone: {widgets:.3f} s")
    assert ours < 4 * widgets


# bqscales 0.3 declares a trait in a way that traitlets deprecates; it says so once, when it is imported.
@pytest.mark.filterwarnings("ignore:metadata .* was set from the constructor:DeprecationWarning")
@pytest.mark.parametrize("name", labnb.__all__)
def test_every_public_name_is_there_and_documented(name):
    assert getattr(labnb, name).__doc__
    assert name in dir(labnb)


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="nothing"):
        labnb.nothing  # noqa: B018
    assert os.environ.get("LABNB_DATA") is None
