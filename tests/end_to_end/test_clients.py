"""Clients without a page: one that sends widget messages where cells go (as VS Code does), nbclient and papermill."""

import json
import queue
import time

import nbformat
import papermill
import pytest
import xarray as xr
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

LOAD = "%load_ext labnb\nimport asyncio, time"
KINDS = {
    "awaiting": "await asyncio.sleep(0.01)",
    "blocking": "time.sleep(0.01)",
    "in a thread": "await asyncio.sleep(0.01)",
}


def measure(kind, points, options=""):
    thread = "--thread" if kind == "in a thread" else ""
    body = f'for x in sweep(range({points}), "V"):\n    {KINDS[kind]}\n    y: "A" = x + 0.5'
    return f"%%measure iv {thread} {options}\n{body}\n"


class Page:
    """What a client without subshells does: cells and widget messages go over one channel; it sees all of iopub."""

    def __init__(self, kernel):
        self.client = kernel.client
        self.models, self.replies, self.errors = {}, {}, []
        self.idle, self.printed = set(), ""

    def start(self, code):
        return self.client.execute(code)

    def until(self, condition, timeout_s=30):
        end = time.monotonic() + timeout_s
        while not (found := condition()):
            assert time.monotonic() < end, (self.replies, self.errors)
            self._read()
        return found

    def _read(self):
        for message in self._messages(self.client.get_iopub_msg):
            content, kind = message["content"], message["msg_type"]
            if kind == "comm_open":
                self.models[content["comm_id"]] = dict(content["data"]["state"])
            elif kind == "comm_msg" and content["data"].get("method") == "update":
                self.models.setdefault(content["comm_id"], {}).update(content["data"]["state"])
            elif kind == "status" and content["execution_state"] == "idle":
                self.idle.add(message["parent_header"].get("msg_id"))
            elif kind == "stream":
                self.printed += content["text"]
            elif kind == "error":
                self.errors.append((message["parent_header"]["msg_id"], content))
        for message in self._messages(self.client.get_shell_msg):
            self.replies[message["parent_header"]["msg_id"]] = message["content"]["status"]

    @staticmethod
    def _messages(get):
        while True:
            try:
                yield get(timeout=0.01)
            except queue.Empty:
                return

    def click(self, word):
        """Click the button that says `word`, by a message on the shell channel."""

        def found():
            words = [(key, model) for key, model in self.models.items() if model.get("description") == word]
            return [key for key, model in words if not model.get("disabled")]

        (key,) = self.until(found)[-1:]
        content = {"comm_id": key, "data": {"method": "custom", "content": {"event": "click"}}}
        self.client.shell_channel.send(self.client.session.msg("comm_msg", content))

    def says(self, text):
        return any(text in str(model.get("value", "")) for model in self.models.values())


@pytest.fixture(scope="module")
def page(tmp_path_factory, shared_kernel_in):
    kernel = shared_kernel_in(tmp_path_factory.mktemp("page"))
    assert kernel.run(LOAD)[0]["status"] == "ok"
    return Page(kernel)


@pytest.mark.speed
@pytest.mark.parametrize("kind", KINDS)
def test_without_subshells_buttons_work_while_the_cell_awaits_and_no_queued_cell_is_lost(page, kind):
    first = page.start(measure(kind, 100_000))
    queued = [page.start(f"with open('queued-{k}', 'w') as f: f.write(iv.state.value)") for k in range(3)]
    page.click("Pause")
    page.until(lambda: page.says("paused"))
    assert first not in page.replies
    page.click("Resume")
    page.until(lambda: page.says(">running<"))
    began = time.monotonic()
    page.click("Stop")
    page.until(lambda: first in page.replies)
    took = time.monotonic() - began
    page.until(lambda: all(each in page.replies for each in queued))
    print(f"{kind}: stop to reply {took:.3f} s")
    assert took < 1.0
    assert [page.replies[each] for each in (first, *queued)] == ["ok"] * 4
    last = page.client.execute("with open('queued-2') as f: assert f.read() == iv.state.value == 'stopped'")
    page.until(lambda: last in page.replies)
    assert page.replies[last] == "ok", page.errors


SWITCH = """import ipywidgets
switch = ipywidgets.ToggleButton(description="switch {kind}")
seen = []
switch.observe(lambda change: seen.append(change["new"]), "value")
display(switch)
for _ in range(500):
    await asyncio.sleep(0.02)
    if len(seen) == 3:
        break
print("seen", seen)"""


@pytest.mark.parametrize("kind", ["shell", "subshell"])
def test_each_change_of_a_widget_is_acknowledged_while_a_cell_awaits(page, kind):
    client, header = page.client, {}
    if kind == "subshell":
        request = client.session.msg("create_subshell_request", {})
        client.control_channel.send(request)
        header["subshell_id"] = client.get_control_msg(timeout=10)["content"]["subshell_id"]
    first = page.start(SWITCH.format(kind=kind))
    (key,) = page.until(lambda: [k for k, m in page.models.items() if m.get("description") == f"switch {kind}"])
    page.idle.clear()
    for value in (True, False, True):  # a page sends the next one when the one before is acknowledged
        content = {"comm_id": key, "data": {"method": "update", "state": {"value": value}, "buffer_paths": []}}
        message = client.session.msg("comm_msg", content)
        message["header"] |= header
        client.shell_channel.send(message)
        page.until(lambda message=message: message["header"]["msg_id"] in page.idle)
    page.until(lambda: first in page.replies)
    assert page.replies[first] == "ok", page.errors
    page.until(lambda: "seen [True, False, True]" in page.printed)


def notebook(*cells):
    spec = {"name": "python3", "display_name": "Python 3", "language": "python"}
    return nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(c) for c in cells], metadata={"kernelspec": spec})


def outputs(cell, kind):
    return [output for output in cell.outputs if output.output_type == kind]


def test_nbclient_runs_all_cells_in_order_behind_each_kind_of_run(tmp_path):
    cells = [LOAD, "seen = []"]
    for kind in KINDS:
        cells += [measure(kind, 20), "seen.append((iv.state.value, iv.points))", measure(kind, 20, "-b"), "await iv"]
    book = notebook(*cells, "seen")
    done = NotebookClient(book, resources={"metadata": {"path": str(tmp_path)}}, timeout=60).execute()
    assert outputs(done.cells[-1], "execute_result")[0].data["text/plain"] == str([("done", 20)] * 3)
    for number in (2, 6, 10):
        assert any("image/png" in output.data for output in outputs(done.cells[number], "display_data"))


def test_nbclient_stops_at_a_cell_that_fails_and_shows_the_users_line(tmp_path):
    failing = 'for x in sweep(range(9)):\n    assert x < 3, "no contact"\n    y: "A" = x'
    book = notebook(LOAD, f"%%measure iv\n{failing}", "'not reached'")
    with pytest.raises(CellExecutionError, match="no contact"):
        NotebookClient(book, resources={"metadata": {"path": str(tmp_path)}}, timeout=60).execute()
    (error,) = outputs(book.cells[1], "error")
    assert "3 points kept in run iv-" in "\n".join(error.traceback)
    assert book.cells[2].outputs == []


def test_papermill_measures_with_its_parameters(tmp_path, monkeypatch):
    monkeypatch.setenv("LABNB_DATA", str(tmp_path / "data"))
    book = notebook(
        "points, gain = 3, 1.0",
        LOAD,
        '%%measure iv\nfor x in sweep(range(points), "V"):\n    await asyncio.sleep(0.001)\n    y: "A" = gain * x',
        "iv.points",
    )
    book.cells[0].metadata["tags"] = ["parameters"]
    nbformat.write(book, tmp_path / "in.ipynb")
    papermill.execute_notebook(
        tmp_path / "in.ipynb",
        tmp_path / "out.ipynb",
        parameters={"points": 7, "gain": 2.5},
        cwd=str(tmp_path),
        progress_bar=False,
    )
    (path,) = (tmp_path / "data").glob("*/*/*/*-iv-*")
    assert xr.open_zarr(path / "data.zarr").y.values.tolist() == [2.5 * x for x in range(7)]
    text = (tmp_path / "out.ipynb").read_text()
    assert '"image/png"' in text
    assert "gain = 2.5" in "".join(json.loads(text)["cells"][1]["source"])
