"""`labnb doctor`: what is installed here, what would not work, and what to do about it.

Standard library only, so that it can also tell what is missing where nearly everything is. No instrument is opened,
and nothing is written but a nameless file to see whether the data can be.
"""

import http.client
import importlib.metadata
import json
import os
import platform
import shutil
import socket
import sys
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from labnb.cli.visa import visa_libraries

State = Literal["ok", "note", "fail"]

MONITOR_PORT = 6913
_PATIENCE_S = 2.0
_LEAST_PYTHON = (3, 11)
_LITTLE_SPACE, _NO_SPACE = 2 * 1024**3, 100 * 1024**2
_PURPOSES = {
    "bqplot": "live figures", "ipykernel": "notebooks", "ipywidgets": "panels and buttons", "matplotlib": "frozen figures",
    "nbclient": "`labnb demo`", "nbformat": "`labnb demo`", "nest-asyncio": "waiting without `await` in a cell",
    "numpy": "everything", "pandas": "tables and xarray", "pillow": "pictures", "pyvisa": "instruments",
    "xarray": "data", "zarr": "recording",
}  # fmt: skip
_EXTRAS = {
    "adaptive": "sweeps that choose their next point",
    "analysis": "fits, netCDF, parquet and pint units",
    "cloud": "runs in object stores, versions of data",
    "cluster": "post-processing on several machines",
    "docs": "`labnb docs`: the reference and its pages",
    "drivers": "QCoDeS, PyMeasure and easy-scpi drivers",
    "hardware": "instruments on USB, serial lines and network without a vendor's VISA",
    "lab": "`labnb lab`, and notebooks in the browser",
    "lint": "checks for people who work on labnb",
    "monitor": "watching a measurement from elsewhere, and mails",
    "polars": "tables as Polars DataFrames",
    "sharing": "reservations of instruments",
    "test": "labnb's own tests",
}
_EXTENSIONS = {"@jupyter-widgets/jupyterlab-manager": "ipywidgets", "bqplot": "bqplot"}


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at. `remedy` says what to do where it is not as it should be."""

    topic: str
    state: State
    text: str
    remedy: str = ""


def run_doctor(*, as_json: bool = False) -> int:
    """Look, print, and return 1 if something that labnb needs would not work, else 0."""
    findings = list(_examined())
    if as_json:
        print(json.dumps({"findings": [asdict(finding) for finding in findings]}, indent=2))
    else:
        _print(findings)
    return int(any(finding.state == "fail" for finding in findings))


def _examined() -> Iterator[Finding]:
    for check in (_python, _packages, _extras, _visa, _data_root, _jupyter, _ports, _sharing):
        try:
            yield from check()
        except Exception as error:  # noqa: BLE001  a person sees it; the other checks go on
            name = check.__name__.strip("_")
            yield Finding(name, "fail", f"this could not be looked at: {type(error).__name__}: {error}")


def _print(findings: Iterable[Finding]) -> None:
    failures = 0
    for finding in findings:
        failures += finding.state == "fail"
        mark = "FAIL" if finding.state == "fail" else finding.state
        print(f"{mark:<5} {finding.topic:<11} {finding.text}")
        if finding.remedy:
            print(f"{'':<17} -> {finding.remedy}")
    print(
        f"\n{failures} thing{'s' * (failures != 1)} would not work." if failures else "\nAll that labnb needs is here."
    )


def _pip(*what: str) -> str:
    return f"{sys.executable} -m pip install {' '.join(repr(each) for each in what)}"


# ---- what is installed


def _python() -> Iterator[Finding]:
    from labnb import __version__

    here = (
        f"labnb {__version__} at {Path(__file__).parents[1]}, Python {platform.python_version()}, {platform.platform()}"
    )
    if sys.version_info < _LEAST_PYTHON:
        least = ".".join(map(str, _LEAST_PYTHON))
        yield Finding("python", "fail", here, f"labnb needs Python {least} or newer: make a new environment with it")
    else:
        yield Finding("python", "ok", here)


@dataclass(frozen=True, slots=True)
class _Need:
    """A package that labnb asks for: `wanted` is the requirement as text, `found` the installed version, if any."""

    name: str
    wanted: str
    found: str | None
    fits: bool


def _needs() -> dict[str, list[_Need]]:
    """Return what labnb's own metadata asks for, by extra; "" are those that it cannot do without."""
    from packaging.requirements import Requirement  # xarray's dependency, so it is there with labnb

    needs: dict[str, list[_Need]] = {}
    metadata = importlib.metadata.metadata("labnb")
    requirements = [Requirement(text) for text in importlib.metadata.requires("labnb") or []]
    for extra in ("", *(metadata.get_all("Provides-Extra") or [])):
        for wanted in requirements:
            if wanted.marker is None or wanted.marker.evaluate({"extra": extra}):
                if extra and (wanted.marker is None or wanted.marker.evaluate({"extra": ""})):
                    continue  # it is needed anyway
                found = _version(wanted.name)
                fits = found is not None and wanted.specifier.contains(found, prereleases=True)
                needs.setdefault(extra, []).append(_Need(wanted.name, f"{wanted.name}{wanted.specifier}", found, fits))
    return needs


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _packages() -> Iterator[Finding]:
    try:
        needs = _needs().get("", [])
    except ImportError as error:  # PackageNotFoundError is one, too
        yield Finding("packages", "fail", f"what labnb needs is not known here: {error}", _pip("labnb"))
        return
    good = [f"{need.name} {need.found}" for need in needs if need.fits]
    if good:
        yield Finding("packages", "ok", ", ".join(good))
    for need in needs:
        if not need.fits:
            state = f"is {need.found}" if need.found else "is missing"
            work = _PURPOSES.get(need.name, "labnb")
            yield Finding("packages", "fail", f"{need.wanted} {state}; without it: no {work}", _pip(need.wanted))


def _extras() -> Iterator[Finding]:
    try:
        needs = _needs()
    except ImportError:
        return  # told by _packages
    for extra, wanted in sorted(needs.items()):
        if not extra:
            continue
        lacking = [
            need.wanted if need.found is None else f"{need.wanted} (is {need.found})"
            for need in wanted
            if not need.fits
        ]
        gives = _EXTRAS.get(extra, ", ".join(need.name for need in wanted))
        if lacking:
            yield Finding(
                "extra", "note", f"{extra}: not here: {gives}; lacks {', '.join(lacking)}", _pip(f"labnb[{extra}]")
            )
        else:
            yield Finding("extra", "ok", f"{extra}: {gives}")


# ---- what it meets


def _visa() -> Iterator[Finding]:
    for library in visa_libraries():
        if library.error is None:
            seen = ", ".join(library.resources) or "no instrument"
            yield Finding("visa", "ok", f"{library.name} ({library.what}) sees {seen}")
        elif library.needed:
            yield Finding("visa", "fail", f"{library.name} ({library.what}): {library.error}", library.remedy)
        else:
            yield Finding("visa", "note", f"{library.name} ({library.what}): {library.error}", library.remedy)


def _data_root() -> Iterator[Finding]:
    from labnb.session.measurement import data_root

    root = data_root()
    there = next(each for each in (root, *root.parents) if each.exists())
    choose = "choose another folder with the environment variable LABNB_DATA"
    if not there.is_dir():
        yield Finding("data", "fail", f"{there} is a file, so no run can be kept in {root}", choose)
        return
    try:
        with tempfile.TemporaryFile(dir=there):
            pass
    except OSError as error:
        yield Finding("data", "fail", f"no run can be kept in {root}: {there}: {error.strerror}", choose)
        return
    free = shutil.disk_usage(there).free
    text = f"runs are kept in {root}; {free / 1024**3:.1f} GiB are free"
    if free < _NO_SPACE:
        yield Finding("data", "fail", f"{text}: a run would soon fail", f"make room, or {choose}")
    elif free < _LITTLE_SPACE:
        yield Finding("data", "note", text, f"make room before long runs, or {choose}")
    else:
        yield Finding("data", "ok", text)


def _jupyter() -> Iterator[Finding]:
    version = _version("jupyterlab")
    if version is None:
        yield Finding(
            "jupyter", "note", "no JupyterLab in this environment: `labnb lab` would not work", _pip("labnb[lab]")
        )
        return
    if not version.startswith("4.") or int(version.split(".")[1]) < 6:
        text = f"JupyterLab {version}: figures and panels are made for 4.6 and later"
        yield Finding("jupyter", "fail", text, _pip("jupyterlab>=4.6,<5"))
    else:
        yield Finding("jupyter", "ok", f"JupyterLab {version}")
    folders = _extension_folders()
    for extension, package in _EXTENSIONS.items():
        yield _extension(extension, package, folders)


def _extension_folders() -> list[Path]:
    try:
        from jupyter_core.paths import jupyter_path
    except ImportError:
        return [Path(sys.prefix, "share", "jupyter", "labextensions")]
    return [Path(folder) for folder in jupyter_path("labextensions")]


def _extension(extension: str, package: str, folders: list[Path]) -> Finding:
    """Compare the browser's half of a widget package with the kernel's."""
    again = f"{sys.executable} -m pip install --force-reinstall {package} jupyterlab_widgets, then reload the browser's page"
    described = next((path for folder in folders if (path := folder / extension / "package.json").exists()), None)
    if described is None:
        return Finding(
            "jupyter", "fail", f"the JupyterLab extension {extension} is missing: figures would be texts", again
        )
    version = str(json.loads(described.read_text("utf-8")).get("version", "?"))
    wanted = {"ipywidgets": "5.", "bqplot": "0."}[package]  # what ipywidgets 8 and bqplot 0.12 and 0.13 speak with
    if not version.startswith(wanted):
        text = f"the JupyterLab extension {extension} is {version}, and {package} {_version(package)} needs {wanted}x"
        return Finding("jupyter", "fail", f"{text}: figures would be texts", again)
    return Finding("jupyter", "ok", f"extension {extension} {version} for {package} {_version(package)}")


def _ports() -> Iterator[Finding]:
    why = _refused(0)
    if why:
        yield Finding("ports", "fail", f"no port of 127.0.0.1 can be opened ({why}): no kernel would start",
                      "see which firewall or sandbox forbids it")  # fmt: skip
        return
    busy = _refused(MONITOR_PORT)
    if busy and _is_monitor():
        yield Finding("ports", "ok", f"a monitoring session is at port {MONITOR_PORT}: `labnb monitor` shows it")
    elif busy:
        yield Finding("ports", "note", f"port {MONITOR_PORT}, the monitor's, is taken ({busy})",
                      "end the other program, or give the session another: `monitor(..., server_port=6914)`")  # fmt: skip
    else:
        yield Finding("ports", "ok", f"127.0.0.1 can be listened at, and port {MONITOR_PORT}, the monitor's, is free")


def _refused(port: int) -> str:
    """Return why 127.0.0.1:port cannot be listened at; "" if it can."""
    try:
        with socket.create_server(("127.0.0.1", port)):
            return ""
    except OSError as error:
        return error.strerror or str(error)


def _is_monitor() -> bool:
    """Ask who has the monitor's port; a session tells its time, or (to whom it does not know) that it wants its token."""
    asked = http.client.HTTPConnection("127.0.0.1", MONITOR_PORT, timeout=_PATIENCE_S)
    try:
        asked.request("GET", "/api/server_current_ts")
        answer = asked.getresponse()
        return answer.status == 200 and "now" in json.loads(answer.read(1000))
    except (OSError, http.client.HTTPException, ValueError, TypeError):
        return False
    finally:
        asked.close()


def _sharing() -> Iterator[Finding]:
    from labnb.sharing.finding import find_service, service_folder

    folder = service_folder()
    address = find_service(folder)
    if address is None:
        there = next(each for each in (folder, *folder.parents) if each.exists())
        if there.is_dir() and os.access(there, os.W_OK):
            text = f"no reservation service runs; who first reserves starts it, with its journal in {folder}"
            yield Finding("sharing", "ok", text)
        else:
            yield Finding("sharing", "note", f"no reservations: {there} cannot be written, and {folder} is their place",
                          "choose another folder with the environment variable LABNB_SHARING")  # fmt: skip
        return
    host, _, port = address.rpartition(":")
    try:
        with socket.create_connection((host, int(port)), timeout=_PATIENCE_S):
            yield Finding("sharing", "ok", f"the reservation service answers at {address}; its journal is in {folder}")
    except OSError as error:
        text = f"the reservation service does not answer at {address}: {error.strerror or error}"
        yield Finding("sharing", "fail", text, f"end its process, whose number is in {folder / 'address.json'}, and"
                      " start `labnb serve` again: it reads its journal")  # fmt: skip
