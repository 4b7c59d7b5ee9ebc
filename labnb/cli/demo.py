"""`labnb demo`: the first notebook, run by a real kernel, with its progress, its data and a small table."""

import asyncio
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, cast

from labnb.cli.examples import FIRST, examples, make_folder
from labnb.cli.progress import is_watched, reporting
from labnb.core import LabnbError
from labnb.live import clock_text
from labnb.record import StoredRun, open_run

if TYPE_CHECKING:
    import xarray as xr
    from nbformat import NotebookNode

_CELL_TIMEOUT_S = 300


def run_demo(output: str) -> int:
    """Measure, print what happens, write the executed notebook; return the exit code."""
    folder = Path(output).absolute()
    make_folder(folder)
    before = set(_runs(folder))
    print("labnb measures a diode's I-V curves at three temperatures on a simulated bench ...")
    target = _free_name(folder)
    try:
        notebook = asyncio.run(_execute(folder, before))
    except _NotebookFailed as failure:
        _write(failure.notebook, target)
        raise LabnbError(f"the notebook failed: {failure}; see {target}") from failure
    _write(notebook, target)
    new = [path for path in _runs(folder) if path not in before]
    if not new:
        raise LabnbError(f"the notebook ran, but left no data below {folder}; see {target}")
    _report(open_run(new[-1]), target)
    return 0


class _NotebookFailed(Exception):
    def __init__(self, message: str, notebook: "NotebookNode") -> None:
        super().__init__(message)
        self.notebook = notebook


async def _execute(folder: Path, before: set[Path]) -> "NotebookNode":
    import nbformat
    from nbclient import NotebookClient
    from nbclient.exceptions import CellExecutionError

    notebook = cast("NotebookNode", nbformat.read(examples() / FIRST, as_version=4))
    client = NotebookClient(notebook, timeout=_CELL_TIMEOUT_S, resources={"metadata": {"path": str(folder)}})
    client.extra_arguments = ["--IPKernelApp.log_level=40"]
    watching = asyncio.create_task(_watch(folder, before))
    try:
        await client.async_execute(env={k: v for k, v in os.environ.items() if k != "LABNB_DATA"})
    except CellExecutionError as error:
        raise _NotebookFailed(f"{error.ename}: {error.evalue}", notebook) from error
    finally:
        watching.cancel()
        await asyncio.wait([watching])
    return notebook


async def _watch(folder: Path, before: set[Path]) -> None:
    """Show how far the measurement is, as a plain reader of its store sees it: as a bar, or a line for every tenth."""
    begun, shown = time.monotonic(), -1.0
    with reporting("measuring", "points") as report:
        while True:
            await asyncio.sleep(0.25)
            new = [path for path in _runs(folder) if path not in before]
            done, total = await asyncio.to_thread(_progress, new[-1]) if new else (0, 0)
            if not total:
                continue
            report(done, total)
            if not is_watched() and done / total >= shown + 0.1:
                shown = done / total
                print(f"  {done:4d} / {total} points  {clock_text(time.monotonic() - begun)}", flush=True)


def _progress(run: Path) -> tuple[int, int]:
    """Return how many points of the diode's curves are measured, and how many there will be; 0 before the first."""
    data = open_run(run).data
    return (int(data["current"].notnull().sum()), data["current"].size) if "current" in data else (0, 0)


def _report(run: StoredRun, notebook: Path) -> None:
    done, total = _progress(run.path)
    print(f"\nRun {run.run_id}: {run.state}, {done} of {total} points.")
    print(f"Data:     {run.path / 'data.zarr'}")
    print(f"Notebook: {notebook}   (executed, with its figures)\n")
    print(_table(run.data))
    print(
        f"\nOpen the data anywhere:   python -c 'import xarray; print(xarray.open_zarr(\"{run.path / 'data.zarr'}\"))'"
    )
    print("Open the notebook live:   labnb lab")


def _table(data: "xr.Dataset") -> str:
    current = data["current"]
    chosen = current.isel(voltage=slice(None, None, max(1, current.sizes["voltage"] // 8)))
    lines = ["Current in A  " + "".join(f"{float(t):>12.0f} K" for t in chosen["temperature"])]
    for voltage in chosen["voltage"]:
        row = chosen.sel(voltage=voltage)
        lines.append(f"  {float(voltage):6.2f} V    " + "".join(f"{float(i):>14.3e}" for i in row))
    return "\n".join(lines)


def _runs(folder: Path) -> list[Path]:
    return sorted(path.parent for path in (folder / "labnb-data").glob("*/*/*/*/run.json"))


def _free_name(folder: Path) -> Path:
    stem = Path(FIRST).stem
    names = (folder / (f"{stem}.ipynb" if k == 1 else f"{stem}-{k}.ipynb") for k in range(1, 10_000))
    return next(path for path in names if not path.exists())


def _write(notebook: "NotebookNode", target: Path) -> None:
    import nbformat

    nbformat.write(notebook, target)
