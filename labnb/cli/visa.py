"""Which VISA libraries PyVISA can load here, and what each sees; each is asked in a process of its own.

A vendor's library, or a search of the network, may hang for minutes; a process can be ended.
"""

import json
import subprocess
import sys
import time
from dataclasses import dataclass

LIMIT_S = 15.0
_SCRIPT = """
import json, sys, warnings
warnings.simplefilter("ignore")
try:
    import pyvisa
    seen = pyvisa.ResourceManager(sys.argv[1]).list_resources("?*")
    print(json.dumps({"resources": list(seen)}))
except Exception as error:
    print(json.dumps({"error": f"{type(error).__name__}: {error}"}))
"""


@dataclass(frozen=True, slots=True)
class _Known:
    name: str
    what: str
    needed: bool
    remedy: str


_KNOWN = (
    _Known("@labnb", "the simulated bench", True, f"{sys.executable} -m pip install --force-reinstall labnb"),
    _Known("@py", "PyVISA-py", False, f"for real instruments: {sys.executable} -m pip install 'labnb[hardware]'"),
    _Known(
        "@ivi", "a vendor's VISA", False, "for GPIB, and vendors' drivers: install NI-VISA or Keysight's IO Libraries"
    ),
    _Known("@sim", "PyVISA-sim", False, f"for simulations of PyVISA's own: {sys.executable} -m pip install pyvisa-sim"),
)


@dataclass(frozen=True, slots=True)
class VisaLibrary:
    """A library, and what came of asking it: `resources`, or an `error` with a `remedy`.

    `needed`: labnb does not work without.
    """

    name: str
    what: str
    needed: bool
    resources: tuple[str, ...] = ()
    error: str | None = None
    remedy: str = ""


def visa_libraries(limit_s: float = LIMIT_S) -> list[VisaLibrary]:
    """Ask all libraries at the same time; each has until `limit_s`."""
    asked = [_ask(known.name) for known in _KNOWN]
    deadline = time.monotonic() + limit_s
    return [_outcome(known, process, deadline, limit_s) for known, process in zip(_KNOWN, asked, strict=True)]


def _ask(library: str) -> "subprocess.Popen[bytes]":
    command = [sys.executable, "-P", "-c", _SCRIPT, library]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)  # noqa: S603  our own command line


def _outcome(known: _Known, process: "subprocess.Popen[bytes]", deadline: float, limit_s: float) -> VisaLibrary:
    try:
        answer, _ = process.communicate(timeout=max(deadline - time.monotonic(), 0.1))
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        error = f"it does not answer within {limit_s:g} s"
        return VisaLibrary(
            known.name, known.what, known.needed, error=error, remedy="see what `pyvisa-shell list` does"
        )
    try:
        told = json.loads(answer.splitlines()[-1])
    except (IndexError, ValueError):
        error = f"it ended the process (code {process.returncode})"
        return VisaLibrary(known.name, known.what, known.needed, error=error, remedy=known.remedy)
    if "error" in told:
        error = " ".join(str(told["error"]).split())[:200]
        return VisaLibrary(known.name, known.what, known.needed, error=error, remedy=known.remedy)
    return VisaLibrary(known.name, known.what, known.needed, tuple(told["resources"]))
