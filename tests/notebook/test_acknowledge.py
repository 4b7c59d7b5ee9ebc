"""A page's widgets are told that each of their changes was handled, also while a cell awaits."""

from types import SimpleNamespace

import pytest
from IPython.core.events import EventManager

from labnb.notebook.acknowledge import acknowledge_widgets, leave_widgets


class Kernel:
    """ipykernel's, as far as it is used: its handlers, its messages' parents, and what it says of its status."""

    def __init__(self):
        self.handled, self.said = [], []
        self.shell_handlers = {"comm_msg": lambda *message: self.handled.append(message)}
        self.parent = "cell"

    def get_parent(self, _channel):
        return self.parent

    def _publish_status(self, status, channel, parent):
        self.said.append((status, channel, parent))


@pytest.fixture
def shell():
    shell = SimpleNamespace(kernel=Kernel())
    shell.events = EventManager(shell, {"pre_run_cell": lambda _info: None, "post_run_cell": lambda _result: None})
    return shell


def test_each_message_while_a_cell_runs_is_followed_by_idle_and_the_cell_goes_on(shell):
    acknowledge_widgets(shell)
    for message in ("first", "second"):
        shell.kernel.shell_handlers["comm_msg"](None, None, message)
    assert [message for _, _, message in shell.kernel.handled] == ["first", "second"]
    assert shell.kernel.said == [
        ("idle", "shell", "first"),
        ("busy", "shell", "cell"),
        ("idle", "shell", "second"),
        ("busy", "shell", "cell"),
    ]


def test_between_cells_ipykernel_says_it_itself(shell):
    acknowledge_widgets(shell)
    shell.events.trigger("post_run_cell", None)
    shell.kernel.shell_handlers["comm_msg"](None, None, "message")
    assert shell.kernel.said == []
    shell.kernel.parent = "next"
    shell.events.trigger("pre_run_cell", None)
    shell.kernel.shell_handlers["comm_msg"](None, None, "message")
    assert shell.kernel.said == [("idle", "shell", "message"), ("busy", "shell", "next")]


def test_a_widget_that_fails_is_acknowledged_too(shell):
    def fails(*_message):
        raise ValueError("broken")

    shell.kernel.shell_handlers["comm_msg"] = fails
    acknowledge_widgets(shell)
    with pytest.raises(ValueError, match="broken"):
        shell.kernel.shell_handlers["comm_msg"](None, None, "message")
    assert shell.kernel.said[0] == ("idle", "shell", "message")


def test_doing_it_twice_and_leaving_restores_what_was(shell):
    before = shell.kernel.shell_handlers["comm_msg"]
    acknowledge_widgets(shell)
    acknowledge_widgets(shell)
    shell.kernel.shell_handlers["comm_msg"](None, None, "message")
    assert len(shell.kernel.said) == 2
    leave_widgets(shell)
    assert shell.kernel.shell_handlers["comm_msg"] is before
    shell.events.trigger("pre_run_cell", None)
    leave_widgets(shell)


@pytest.mark.parametrize("missing", ["status", "handler", "handlers", "kernel"])
def test_a_kernel_of_another_kind_is_left_alone(shell, missing):
    if missing == "status":
        shell.kernel._publish_status = None
    elif missing == "handler":
        shell.kernel.shell_handlers = {}
    elif missing == "handlers":
        del shell.kernel.shell_handlers
    else:
        del shell.kernel
    acknowledge_widgets(shell)
    if missing == "status":
        shell.kernel.shell_handlers["comm_msg"](None, None, "message")
        assert shell.kernel.handled
    leave_widgets(shell)
