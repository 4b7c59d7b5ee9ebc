"""`labnb serve`: one service for a user's kernels."""

import os
import signal
import socket
import subprocess
import sys
import threading

import pytest

from labnb.core import ReservationError
from labnb.sharing import ReservationClient, find_service, service_folder, serving, start_service


def run(*arguments, **environment):
    return subprocess.run(
        [sys.executable, "-m", "labnb.cli", "serve", *arguments],
        capture_output=True, text=True, timeout=20, check=False, env=os.environ | environment,
    )  # fmt: skip


def test_it_says_where_it_listens_and_ends_when_it_is_told_to(process_service):
    assert process_service.address.startswith("127.0.0.1:")
    with ReservationClient(process_service.address) as client:
        assert client.situation().reservations == ()
    process = process_service.process
    process_service.end(signal.SIGINT)
    assert process.returncode == 0


def test_it_listens_to_this_machine_only(process_service):
    port = int(process_service.address.rpartition(":")[2])
    listening = subprocess.run(["cat", "/proc/net/tcp", "/proc/net/tcp6"], capture_output=True, text=True, check=True)
    local = [line.split()[1] for line in listening.stdout.splitlines() if line.split()[3] == "0A"]
    mine = [address for address in local if address.endswith(f":{port:04X}")]
    assert [address.partition(":")[0] for address in mine] in (["0100007F"], ["0000000000000000FFFF00000100007F"])


def test_a_port_that_is_taken_is_an_error(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as other:
        done = run("--port", str(other.getsockname()[1]), "--folder", str(tmp_path))
    assert done.returncode == 1
    assert "cannot be listened at" in done.stderr
    assert "Traceback" not in done.stderr


def test_two_services_do_not_share_a_port(process_service, tmp_path):
    done = run("--port", process_service.address.rpartition(":")[2], "--folder", str(tmp_path))
    assert done.returncode == 1
    assert "cannot be listened at" in done.stderr
    assert find_service(tmp_path) is None


def test_a_second_service_in_one_folder_is_an_error(process_service):
    done = run("--folder", str(process_service.folder))
    assert done.returncode == 1
    assert "another service keeps its reservations" in done.stderr


@pytest.mark.parametrize("port", ["70000", "-1", "http"])
def test_what_is_no_port_is_refused(port):
    done = run("--port", port)
    assert done.returncode == 2
    assert "is not a port" in done.stderr or "expected one argument" in done.stderr


def test_a_running_service_is_found_and_a_dead_one_is_not(process_service):
    assert find_service(process_service.folder) == process_service.address
    process_service.end(signal.SIGKILL)
    assert find_service(process_service.folder) is None


def test_a_service_is_started_where_none_runs_and_several_that_start_it_get_the_same(tmp_path, monkeypatch):
    monkeypatch.setenv("LABNB_SHARING", str(tmp_path))
    assert service_folder() == tmp_path
    found = []
    starting = [threading.Thread(target=lambda: found.append(start_service())) for _ in range(3)]
    for each in starting:
        each.start()
    for each in starting:
        each.join()
    assert len(found) == 3
    assert len(set(found)) == 1
    with ReservationClient(note="found") as client:
        assert client.address == found[0]
        client.reserve("psu").release()
    import json

    os.kill(json.loads((tmp_path / "address.json").read_text())["pid"], signal.SIGTERM)


def test_a_service_that_cannot_start_says_why(tmp_path):
    (tmp_path / "reservations.jsonl").write_text("nonsense\n")
    with pytest.raises(ReservationError, match=r"did not start: labnb serve: .*not an entry of the journal"):
        start_service(tmp_path)


async def test_serving_leaves_nothing_behind():
    before = set(threading.enumerate())
    async with serving() as port:
        assert port
    assert [each for each in set(threading.enumerate()) - before if not each.daemon] == []


def test_without_its_packages_sharing_says_what_to_install(tmp_path):
    code = (
        "import sys; sys.modules['grpc'] = None\n"
        "from labnb.sharing import place\n"
        "try:\n import labnb.session_management\n"
        "except Exception as error: print(type(error).__name__, error)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "ReservationError" in done.stdout
    assert "pip install 'labnb[sharing]'" in done.stdout
