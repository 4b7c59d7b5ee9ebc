"""`labnb docs`: every public name is told, every link leads somewhere, and no network is needed."""

import ast
import importlib
import inspect
import json
import re
import resource
import subprocess
import sys
import zipfile
from html.parser import HTMLParser
from pathlib import Path
from types import ModuleType
from urllib.parse import unquote, urldefrag

import pytest

from labnb.cli import docs, doctor, main, visa

ROOT = Path(__file__).parents[2]
ROOMS = ("labnb", *(f"labnb.{room}" for room in docs.ROOMS))


class Page(HTMLParser):
    """What a page has: its anchors, its links, and what it loads."""

    def __init__(self, path):
        super().__init__()
        self.anchors, self.links, self.loads = set(), [], []
        self.source = path.read_text("utf-8")
        self.feed(self.source)

    def handle_starttag(self, tag, attributes):
        given = dict(attributes)
        self.anchors.add(given.get("id"))
        if tag == "a" and given.get("href"):
            self.links.append(given["href"])
        self.loads += [given[name] for name in ("src", "href") if tag in ("link", "script", "img") and given.get(name)]

    def told(self, name):
        """Return whether the section of a name has a docstring."""
        begin = self.source.find(f'<section id="{name}">')
        end = self.source.find("<section id=", begin + 1)
        return begin >= 0 and 'class="docstring"' in self.source[begin:end]


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """The documentation, made by the command in a process where warnings are errors."""
    folder = tmp_path_factory.mktemp("docs") / "pages"
    command = [sys.executable, "-W", "error", "-m", "labnb.cli", "docs", "--output", str(folder), "--no-open"]
    before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
    done = subprocess.run(command, cwd=folder.parent, capture_output=True, text=True, check=False)
    computed_s = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - before  # who else computes does not count
    print(f"labnb docs: {computed_s:.1f} s")
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    assert done.stdout == f"The documentation is at {folder / 'index.html'}\n"
    assert computed_s < 30
    return folder


@pytest.fixture(scope="module")
def pages(built):
    return {path: Page(path) for path in built.rglob("*.html")}


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # the widget packages' own, when they are imported
@pytest.mark.parametrize("room", ROOMS)
def test_every_public_name_is_told(built, pages, room):
    module = importlib.import_module(room)
    page = pages[built / f"{room.replace('.', '/')}.html"]
    modules = [name for name in module.__all__ if isinstance(getattr(module, name), ModuleType)]
    assert [name for name in module.__all__ if name not in modules and not page.told(name)] == []
    for name in modules:
        assert built / f"{room.replace('.', '/')}/{name}.html" in pages


def test_every_room_with_public_names_is_in_it():
    rooms = (ROOT / "labnb").glob("*/__init__.py")
    assert {path.parent.name for path in rooms if "__all__ = [" in path.read_text("utf-8")} <= set(docs.ROOMS)


def test_every_page_is_in_it_and_the_first_page_leads_there(built, pages):
    names = {path.stem for path in (ROOT / "labnb" / "docs").glob("*.md")}
    assert {f"docs.{name}" for name in names} | {"docs"} == set(docs.PAGES)
    first = pages[built / "labnb" / "docs.html"]
    assert {f"docs/{name}.html" for name in names} <= set(first.links)


def test_no_link_is_dead(built, pages):
    dead = []
    for path, page in pages.items():
        for link in page.links:
            if re.match(r"https?:|mailto:", link):
                continue
            target, anchor = urldefrag(unquote(link))
            there = (path.parent / target).resolve() if target else path
            if there not in pages or (anchor and anchor not in pages[there].anchors):
                dead.append(f"{path.relative_to(built)}: {link}")
    assert dead == []


def test_a_page_is_dark_where_the_readers_system_is_and_has_no_empty_list(pages):
    full = [page.source for page in pages.values() if 'class="pdoc"' in page.source]
    assert len(full) == len(pages) - 1  # the first one only leads on
    assert [
        page for page in full if "@media (prefers-color-scheme: dark) { :root { --pdoc-background" not in page
    ] == []
    assert [page for page in full if re.search(r"<ul>\s*</ul>", page)] == []


def test_the_pages_load_nothing_from_elsewhere(pages):
    assert [load for page in pages.values() for load in page.loads if re.match(r"(https?:)?//", load)] == []


def test_the_search_knows_names_and_pages_without_a_server(built):
    script = (built / "search.js").read_text("utf-8")
    documents = json.loads(re.search(r"/\*\* pdoc search index \*/const docs = (.*);\n", script)[1])
    known = json.dumps(documents)
    for word in ("labnb.record.runs", "labnb.session.MeasurementSession.parameter", "labnb.docs.promises", "kill -9"):
        assert word in known
    assert "fetch(" not in script


def test_a_missing_generator_is_said_with_what_to_install(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(docs.importlib.util, "find_spec", lambda name: None)
    assert main(["docs", "--output", str(tmp_path / "docs"), "--no-open"]) == 1
    assert "pdoc; run: " in (said := capsys.readouterr().err)
    assert said.endswith("-m pip install 'labnb[docs]'\n")
    assert not (tmp_path / "docs").exists()


def test_the_wheel_has_the_pages_and_makes_the_documentation(tmp_path):
    hatchling = pytest.importorskip("hatchling", reason="the wheel is built by hatchling: pip install hatchling")
    build = [sys.executable, "-m", hatchling.__name__, "build", "-t", "wheel", "-d", str(tmp_path)]
    done = subprocess.run(build, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as packed:
        assert {f"labnb/{page.replace('.', '/')}.md" for page in docs.PAGES[1:]} <= set(packed.namelist())
        packed.extractall(tmp_path / "installed")
    code = (
        "import sys, labnb; from labnb.cli import docs, main; print(labnb.__file__); docs.ROOMS = ()"  # as above: slow
    )
    code += "; sys.exit(main(sys.argv[1:]))"
    command = [sys.executable, "-W", "error", "-c", code, "docs", "--output", "pages", "--no-open"]
    env = {"PYTHONPATH": str(tmp_path / "installed"), "PATH": ""}
    done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    assert done.stdout.startswith(str(tmp_path / "installed"))
    assert "Interrupt" in (tmp_path / "pages/labnb/docs/promises.html").read_text("utf-8")


TROUBLES = (ROOT / "labnb" / "docs" / "troubleshooting.md").read_text("utf-8")


def longest_words(function, node):
    """The longest piece of a finding's text that never varies; a name stands for what the function last gave it."""
    named = {
        each.targets[0].id: each.value
        for each in ast.walk(function)
        if isinstance(each, ast.Assign) and isinstance(each.targets[0], ast.Name)
    }
    parts = [named.get(node.id, node) if isinstance(node, ast.Name) else node]
    texts = [
        n.value for part in parts for n in ast.walk(part) if isinstance(n, ast.Constant) and isinstance(n.value, str)
    ]
    return max(texts, key=len, default="").strip(" ,:;(")


def troubles():
    """What the doctor may find fault with: (check, words)."""
    tree = ast.parse(inspect.getsource(doctor))
    for function in (each for each in ast.walk(tree) if isinstance(each, ast.FunctionDef)):
        for call in (each for each in ast.walk(function) if isinstance(each, ast.Call)):
            if isinstance(call.func, ast.Name) and call.func.id == "Finding" and call.args[1].value != "ok":
                yield function.name, longest_words(function, call.args[2])


def test_the_page_of_troubles_has_all_that_the_doctor_finds():
    found = list(troubles())
    assert len(found) >= 18
    own = {"_visa", "_python", "_data_root"}  # told by the library's name, by its version, by how much is free
    for check, words in found:
        assert (check in own and len(words) < 30) or words in TROUBLES, (check, words)
    assert {check for check, _ in found} >= own
    for state in ("does not answer within", "it ended the process"):
        assert state in inspect.getsource(visa)
        assert state in TROUBLES
    for library in visa._KNOWN:
        assert f"| `{library.name}`, " in TROUBLES


def test_the_page_of_troubles_has_a_part_for_each_topic_and_a_line_for_each_extra():
    topics = set(re.findall(r'Finding\(\s*"(\w+)"', inspect.getsource(doctor)))
    assert set(re.findall(r"^### (\w+)$", TROUBLES, re.MULTILINE)) - {"Voila"} == topics
    table = TROUBLES[TROUBLES.index("### extra") : TROUBLES.index("### visa")]
    assert set(re.findall(r"`(\w+)`(?=[,` \w]*\|)", table)) >= set(doctor._EXTRAS)
