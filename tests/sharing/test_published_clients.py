"""The published clients, each in an environment of its own and unmodified, at our service.

`LABNB_NI_PYTHON` and `LABNB_NI_OLD_PYTHON` name the interpreters of environments with
`ni-measurementlink-sessionmanagement-v1-client ni-measurementlink-pinmap-v1-client ni-measurementlink-discovery-v1-client`
and with `ni-measurementlink-service==1.2.0`.
"""

import inspect
import json
import os
import subprocess
from pathlib import Path

import pytest

from labnb import session_management
from labnb.sharing import messages

HERE = Path(__file__).parent
STEPS = [
    "upload", "reserve_one", "reserve_several", "sites", "mistakes", "conflict_and_timeout_0", "timeout_a_half",
    "timeout_minus_1", "register_and_unregister", "reserve_all", "groups", "multiplexers", "late_release", "discovery",
]  # fmt: skip


@pytest.fixture(scope="module", params=["LABNB_NI_PYTHON", "LABNB_NI_OLD_PYTHON"])
def became(request, tmp_path_factory):
    """What became of each step, and the fields of the published messages."""
    python = os.environ.get(request.param)
    if not python:
        pytest.skip(f"{request.param} names no interpreter with a published client")
    service = request.getfixturevalue("new_process_service")(tmp_path_factory.mktemp("sharing"))
    done = subprocess.run(
        [python, HERE / "ni_program.py", service.address, HERE / "full.pinmap"],
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
        env={name: value for name, value in os.environ.items() if name != "PYTHONPATH"},
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("step", STEPS)
def test_a_published_client_works_unmodified(became, step):
    assert became["steps"][step] == ""


def test_every_step_is_listed(became):
    assert list(became["steps"]) == STEPS


def test_our_fields_are_the_published_ones(became):
    ours = {}
    for package in messages._ALL.values():
        for made in package._classes.values():
            ours[made.DESCRIPTOR.full_name] = sorted(
                [field.name, field.number, field.type, field.message_type.full_name if field.message_type else ""]
                for field in made.DESCRIPTOR.fields
            )
    # Computers elsewhere are not ours to list; an older client has fewer fields, and means the same by them.
    shared = [name for name in became["fields"] if "ComputeNode" not in name]
    assert len(shared) > 15
    for name in shared:
        assert [each for each in became["fields"][name] if each not in ours[name]] == [], name


def parameters(function):
    return [[each.name, each.kind.name, repr(each.default)] for each in inspect.signature(function).parameters.values()]


def described(module):
    """Return what is public in a module: texts as they are, classes by their fields and their methods' parameters."""
    told = {}
    for name, value in vars(module).items():
        if name.isupper() and isinstance(value, str):
            told[name] = value
        elif isinstance(value, type) and issubclass(value, tuple):
            told[name] = list(value._fields)
        elif isinstance(value, type) and {"reserve_session", "unreserve"} & set(dir(value)):
            told[name] = {
                each: parameters(attribute) if inspect.isfunction(attribute) else type(attribute).__name__
                for each, attribute in ((each, inspect.getattr_static(value, each)) for each in dir(value))
                if each in ("__init__", "__enter__", "__exit__") or not each.startswith("_")
            }
    return told


def test_the_older_clients_names_fields_methods_and_parameters_are_ours_too(became):
    ours = described(session_management)
    for name, theirs in became["api"].items():
        assert ours[name] == theirs, name
    assert len(became["api"]) in (0, 17 + 3 + 5), "the newer client has names of its own"
