"""`labnb demo` and `labnb lab` where they cannot work: one line that says why, and an exit code. `labnb doctor`."""

import asyncio
import json
import os
import socket
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import labnb
from labnb.cli import doctor, main
from labnb.cli.visa import visa_libraries
from labnb.sharing import published
from labnb.sim import PSU_ADDRESS

SOURCE = str(Path(__file__).parents[2])


@pytest.mark.parametrize("command", [["demo", "--output"], ["lab", "--folder"]])
@pytest.mark.parametrize("folder", ["/proc/nowhere", "{tmp}/a file"])
def test_a_folder_that_cannot_be_made_is_told_in_one_line(tmp_path, capsys, command, folder):
    (tmp_path / "a file").touch()
    folder = folder.format(tmp=tmp_path)
    assert main([*command, folder]) == 1
    told = capsys.readouterr().err
    assert told.count("\n") == 1
    assert f"labnb {command[0]}: {folder} cannot be made" in told
    assert "name another folder" in told


# ---- doctor


def examine(*options: str, first: Path | None = None, **environment: str) -> tuple[int, dict[str, list[dict]], str]:
    """Run `labnb doctor --json` in a process; return its exit code, what it found by topic, and its complaints."""
    path = os.pathsep.join(str(each) for each in (first, SOURCE) if each)
    done = subprocess.run(
        [sys.executable, *options, "-m", "labnb.cli", "doctor", "--json"],
        env={**os.environ, "PYTHONPATH": path, **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )
    found: dict[str, list[dict]] = {}
    for finding in json.loads(done.stdout)["findings"]:
        found.setdefault(finding["topic"], []).append(finding)
    return done.returncode, found, done.stderr


def test_the_doctor_tells_what_is_here_and_what_each_library_sees(tmp_path):
    code, found, complaints = examine(LABNB_DATA=str(tmp_path / "not yet" / "there"))
    assert (code, complaints) == (0, "")
    assert labnb.__version__ in found["python"][0]["text"]
    assert "zarr 3." in found["packages"][0]["text"]
    bench = next(finding for finding in found["visa"] if finding["text"].startswith("@labnb"))
    assert bench["state"] == "ok"
    assert PSU_ADDRESS in bench["text"]
    assert found["data"][0]["state"] == "ok"
    assert list(tmp_path.iterdir()) == []
    for finding in (each for findings in found.values() for each in findings):
        assert finding["state"] == "ok" or finding["remedy"], finding


def test_the_doctor_speaks_where_nothing_is_installed():
    code, found, complaints = examine("-S")
    assert (code, complaints) == (1, "")
    assert found["packages"][0]["state"] == "fail"
    assert "pip install" in found["packages"][0]["remedy"]
    assert found["ports"][0]["state"] == "ok"


def test_the_doctor_tells_a_package_of_the_wrong_version(tmp_path):
    info = tmp_path / "zarr-2.18.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: zarr\nVersion: 2.18.0\n")
    code, found, _ = examine(first=tmp_path)
    assert code == 1
    wrong = next(finding for finding in found["packages"] if finding["state"] == "fail")
    assert wrong["text"].startswith("zarr>=3")
    assert "is 2.18.0; without it: no recording" in wrong["text"]
    assert "pip install 'zarr>=3" in wrong["remedy"]


def test_the_doctor_prints_for_people(capsys, monkeypatch):
    monkeypatch.setattr(doctor, "visa_libraries", list)
    monkeypatch.setenv("LABNB_DATA", "/proc/nowhere")
    assert main(["doctor"]) == 1
    told = capsys.readouterr().out
    assert "\nFAIL  data " in told
    assert "-> choose another folder with the environment variable LABNB_DATA" in told
    assert told.rstrip().endswith("1 thing would not work.")


def test_the_doctor_tells_a_data_root_that_is_a_file(tmp_path, monkeypatch):
    (tmp_path / "a file").touch()
    monkeypatch.setenv("LABNB_DATA", str(tmp_path / "a file" / "data"))
    (finding,) = doctor._data_root()
    assert finding.state == "fail"
    assert "a file is a file" in finding.text


def test_the_doctor_tells_a_port_that_is_taken(monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        monkeypatch.setattr(doctor, "MONITOR_PORT", taken.getsockname()[1])
        (finding,) = doctor._ports()
    assert finding.state == "note"
    assert "is taken" in finding.text


async def test_the_doctor_knows_a_monitoring_session_at_the_port(monkeypatch, tmp_path):
    session = labnb.AsyncSession(str(tmp_path / "cooldown"), verbose=False)
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    monkeypatch.setattr(doctor, "MONITOR_PORT", port)

    async def ask():
        (finding,) = await asyncio.to_thread(lambda: list(doctor._ports()))
        session.ask_exit()
        assert (finding.state, "a monitoring session is at port" in finding.text) == ("ok", True)

    await session.monitor(ask(), server_port=port)


async def test_the_doctor_tells_whether_the_reservation_service_answers(monkeypatch, tmp_path):
    monkeypatch.setenv("LABNB_SHARING", str(tmp_path))
    assert "no reservation service runs" in next(doctor._sharing()).text
    with socket.create_server(("127.0.0.1", 0)) as service:
        port = service.getsockname()[1]
        with published(tmp_path, port):
            (there,) = doctor._sharing()
            service.close()
            (gone,) = doctor._sharing()
    assert (there.state, f"answers at 127.0.0.1:{port}" in there.text) == ("ok", True)
    assert (gone.state, f"does not answer at 127.0.0.1:{port}" in gone.text) == ("fail", True)
    assert "address.json" in gone.remedy


def test_the_doctor_tells_a_place_of_reservations_that_is_none(monkeypatch, tmp_path):
    (tmp_path / "a file").touch()
    monkeypatch.setenv("LABNB_SHARING", str(tmp_path / "a file" / "there"))
    (finding,) = doctor._sharing()
    assert (finding.state, "cannot be written" in finding.text) == ("note", True)


def test_the_doctor_knows_what_each_extra_is_for():
    project = tomllib.loads((Path(SOURCE) / "pyproject.toml").read_text())["project"]
    assert set(doctor._EXTRAS) == set(project["optional-dependencies"])


def test_the_doctor_tells_a_missing_half_of_the_widgets(tmp_path, monkeypatch):
    monkeypatch.setattr(doctor, "_extension_folders", lambda: [tmp_path])
    (tmp_path / "bqplot").mkdir()
    (tmp_path / "bqplot" / "package.json").write_text('{"version": "1.0.0"}')
    _, manager, bqplot = doctor._jupyter()
    assert "@jupyter-widgets/jupyterlab-manager is missing: figures would be texts" in manager.text
    assert "bqplot is 1.0.0" in bqplot.text
    assert (manager.state, bqplot.state) == ("fail", "fail")


def test_a_check_that_fails_itself_does_not_silence_the_others(monkeypatch, capsys):
    def _broken():
        raise RuntimeError("no disk")

    monkeypatch.setattr(doctor, "_data_root", _broken)
    monkeypatch.setattr(doctor, "visa_libraries", list)
    assert main(["doctor"]) == 1
    told = capsys.readouterr().out
    assert "this could not be looked at: RuntimeError: no disk" in told
    assert "ports" in told


@pytest.mark.parametrize(
    ("library", "told"),
    [
        ("import time; time.sleep(600)", "it does not answer within 1 s"),
        ("import os; os._exit(3)", "ended the process"),
    ],
)
def test_a_visa_library_that_hangs_or_crashes_is_told(tmp_path, monkeypatch, library, told):
    (tmp_path / "pyvisa_sim.py").write_text(library)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join((str(tmp_path), SOURCE)))
    sim = next(each for each in visa_libraries(limit_s=1.0 if "sleep" in library else 15.0) if each.name == "@sim")
    assert sim.resources == ()
    assert told in str(sim.error)
