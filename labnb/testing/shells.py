"""IPython without a kernel, for tests of magics and cells."""

import atexit
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from IPython.core.interactiveshell import InteractiveShell

from labnb.notebook.magics import load_ipython_extension, unload_ipython_extension


@pytest.fixture
def shell_in(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Path], InteractiveShell]]:
    """Return a function that makes a shell with labnb loaded, which keeps its runs below a folder."""
    shells = list[InteractiveShell]()

    def make(folder: Path) -> InteractiveShell:
        monkeypatch.setenv("LABNB_DATA", str(folder / "data"))
        shell = InteractiveShell()
        load_ipython_extension(shell)
        shells.append(shell)
        return shell

    yield make
    for shell in shells:
        unload_ipython_extension(shell)
        end_shell(shell)


def end_shell(shell: InteractiveShell) -> None:
    """Do now what a shell does when the process ends."""
    shell.atexit_operations()
    atexit.unregister(shell.atexit_operations)
