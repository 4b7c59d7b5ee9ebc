"""Real kernels for the tests in this folder."""

import pytest
from jupyter_client.manager import KernelManager


class Kernel:
    """A running kernel and a client of it."""

    def __init__(self, folder):
        self.manager = KernelManager(kernel_name="python3")
        self.manager.start_kernel(cwd=str(folder))
        self.client = self.manager.client()
        self.client.start_channels(hb=False)  # its thread ends up to a second after it was told to
        self.client.wait_for_ready(timeout=60)

    def start(self, code):
        """Send a cell; return the number of its request."""
        return self.client.execute(code)

    def run(self, code, timeout=60):
        """Run a cell; return its reply and its outputs."""
        outputs = []
        reply = self.client.execute_interactive(code, timeout=timeout, output_hook=outputs.append)
        return reply["content"], [m["content"] for m in outputs if m["msg_type"] not in ("status", "execute_input")]

    def ended(self, request, timeout=60):
        """Wait for the end of a cell that was sent by `start`; return its reply and its outputs."""
        outputs = []
        while True:
            message = self.client.get_iopub_msg(timeout=timeout)
            if message["parent_header"].get("msg_id") != request:
                continue
            if message["msg_type"] not in ("status", "execute_input"):
                outputs.append(message["content"])
            elif message["content"].get("execution_state") == "idle":
                break
        while (reply := self.client.get_shell_msg(timeout=timeout))["parent_header"].get("msg_id") != request:
            pass
        return reply["content"], outputs

    def value(self, code):
        """Return the text of the value of a cell's last expression."""
        content, outputs = self.run(code)
        assert content["status"] == "ok", content
        return [o["data"]["text/plain"] for o in outputs if "data" in o and "execution_count" in o][-1]

    def kill(self):
        """kill -9."""
        self.manager.provisioner.process.kill()
        self.manager.provisioner.process.wait()

    def close(self):
        self.client.stop_channels()
        self.manager.shutdown_kernel(now=True)
        self.manager.cleanup_resources()


def _kernels():
    started = []

    def start(folder):
        kernel = Kernel(folder)
        started.append(kernel)
        return kernel

    yield start
    for kernel in started:
        kernel.close()


@pytest.fixture
def kernel_in():
    """Return a function that starts a kernel in a folder."""
    yield from _kernels()


@pytest.fixture(scope="module")
def shared_kernel_in():
    """Return a function that starts a kernel in a folder, for all tests of a module."""
    yield from _kernels()
