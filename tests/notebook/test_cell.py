"""The cell compiler: what a body means, and what is refused at which line. Nothing runs a kernel here."""

import asyncio

import pytest

from labnb.core import Axis, CellError, PlanError, Point, Sweep, sweep
from labnb.notebook.cell import compile_cell
from labnb.notebook.pieces import BODY, SWEEPS
from labnb.notebook.request import Request, parse_duration, parse_line
from labnb.session import Steps


def run(source, timed=False, **names):
    """Compile and run a body; return {variable: {place: value}} and the groups."""
    names = {"sweep": sweep, **names}
    cell = compile_cell(source, "<cell>", known=names)
    functions = {}
    exec(compile(cell.module, "<cell>", "exec"), names, functions)
    loops = cell.outline.loops
    axes = {k: Axis(loops[k].name, v.values, v.unit) for k, v in functions[SWEEPS]().items()}
    groups, found = {}, {}

    def put(point):
        point = Point(*point)
        for variable, value in zip(groups[point.group].variables, point.values, strict=True):
            assert point.place not in found.setdefault(variable.name, {})
            found[variable.name][point.place] = value

    steps = Steps(cell.outline, axes, awaiting=cell.awaiting, declare=lambda g: groups.__setitem__(g.key, g), put=put)
    inherited = {name: names[name] for name in cell.inherited}
    result = functions[BODY](steps, None, (), **inherited)
    if cell.awaiting:
        asyncio.run(result)
    steps.finish()
    return found, {v.name: (g.dims, v.unit) for g in groups.values() for v in g.variables}, names


def test_dims_are_the_sweep_loops_around_and_other_statements_keep_their_meaning():
    found, dims, names = run(
        """
calls = []
for a in sweep([10, 20], "K"):
    stage: "K" = a + 0.5
    for b in sweep(0, 1, 3, "V"):
        calls.append((a, b))
        tmp = a * b
        current: "A" = tmp
    else:
        calls.append("else")
    total: "" = len(calls)
final: "V" = 7
"""
    )
    assert dims == {"stage": (("a",), "K"), "current": (("a", "b"), "A"), "total": (("a",), ""), "final": ((), "V")}
    assert found["stage"] == {0: 10.5, 1: 20.5}
    assert found["current"] == {k: (10, 20)[k // 3] * (0, 0.5, 1)[k % 3] for k in range(6)}
    assert found["total"] == {0: 4, 1: 8}
    assert found["final"] == {0: 7}
    assert set(names) - {"__builtins__"} == {"sweep"}


def test_an_awaiting_body_runs_on_the_loop():
    found, _, _ = run(
        """
import asyncio
for a in sweep(range(3)):
    await asyncio.sleep(0)
    x: "V" = a
"""
    )
    assert found["x"] == {0: 0, 1: 1, 2: 2}


def test_break_keeps_the_point_that_it_leaves_and_continue_skips_without_stale_values():
    found, _, _ = run(
        """
for a in sweep(range(5)):
    before: "" = a
    for b in sweep(range(4)):
        if b == 1:
            continue
        x: "" = 10 * a + b
        if b == 2:
            break
    if a == 1:
        continue
    after: "" = a
    if a == 3:
        break
"""
    )
    assert found["x"] == {a * 4 + b: 10 * a + b for a in range(4) for b in (0, 2)}
    assert found["before"] == {a: a for a in range(4)}
    assert found["after"] == {0: 0, 2: 2, 3: 3}


def test_a_record_under_if_or_try_is_absent_where_it_was_not_made():
    found, _, _ = run(
        """
for a in sweep(range(4)):
    try:
        x: "" = 1 / (a - 2)
    except ZeroDivisionError:
        pass
"""
    )
    assert found["x"] == {0: -0.5, 1: -1.0, 3: 1.0}


def test_what_is_recorded_before_a_sweep_that_is_not_entered_is_kept():
    found, _, _ = run(
        """
for t in sweep([0, 1, 2]):
    a: "A" = t
    if t == 1:
        for x in sweep([0, 1]):
            y: "A" = x
    elif t == 2:
        b: "A" = t
        for z in sweep([5]):
            w: "A" = z
    last: "B" = t
"""
    )
    assert found["a"] == {0: 0, 1: 1, 2: 2}
    assert found["y"] == {2: 0, 3: 1}
    assert found["b"] == {2: 2}
    assert found["w"] == {2: 5}
    assert found["last"] == {0: 0, 1: 1, 2: 2}


def test_a_shot_before_a_sweep_that_is_not_entered_is_kept():
    found, _, _ = run('a: "A" = 5\nif a > 9:\n    for x in sweep([0, 1]):\n        y: "A" = x')
    assert found == {"a": {0: 5}}


def test_a_record_in_the_else_of_a_sweep_is_absent_where_a_break_skipped_it():
    found, _, _ = run(
        """
for a in sweep([0, 1, 2]):
    for b in sweep([0, 1]):
        y: "A" = a * 10 + b
        if a == 1:
            break
    else:
        z: "A" = a
"""
    )
    assert found["y"] == {0: 0, 1: 1, 2: 10, 4: 20, 5: 21}
    assert found["z"] == {0: 0, 2: 2}


@pytest.mark.parametrize(("leave", "left"), [("continue", [0, 1, 2]), ("break", [0, 1])])
def test_what_finally_records_belongs_to_the_same_point_as_what_was_recorded_before_the_leap(leave, left):
    found, _, _ = run(
        f"""
for v in sweep([0, 1, 2]):
    try:
        y: "A" = v
        if v == 1:
            {leave}
    finally:
        z: "B" = v * 100
"""
    )
    assert found == {"y": {v: v for v in left}, "z": {v: v * 100 for v in left}}


def test_a_record_after_a_plain_loops_break_is_kept():
    found, _, _ = run(
        """
for a in sweep(range(2)):
    for k in range(5):
        last: "" = k
        if k == 3:
            break
"""
    )
    assert found["last"] == {0: 3, 1: 3}


def test_the_body_reads_the_notebooks_names_and_leaves_them_alone():
    found, _, names = run('offset = offset + 1\nx: "" = offset', offset=4)
    assert found["x"] == {0: 5}
    assert names["offset"] == 4


def test_a_name_that_only_the_body_assigns_is_unbound_before():
    with pytest.raises(UnboundLocalError):
        run('x: "" = y\ny = 3')


def test_a_sweep_of_the_notebook_and_one_that_needs_the_body_both_make_axes():
    cell = compile_cell(
        'for v in mine:\n    n = 3\n    for w in sweep(range(n)):\n        x: "" = w',
        "<c>",
        known={"mine"},
        is_sweep=lambda node: getattr(node, "id", "") == "mine" or hasattr(node, "func"),
    )
    assert [loop.name for loop in cell.outline.loops] == ["v", "w"]
    found, _, _ = run('for a in sweep(range(2)):\n    n = 2\n    for w in sweep(range(n)):\n        x: "" = w')
    assert len(found["x"]) == 4


def test_a_sweep_that_the_body_gives_a_name_makes_an_axis():
    found, dims, _ = run('volts = sweep([1, 2, 3], "V")\nfor v in volts:\n    y: "A" = v * 2')
    assert dims == {"y": (("v",), "A")}
    assert found["y"] == {0: 2, 1: 4, 2: 6}


@pytest.mark.parametrize("around", ["enumerate(sweep([1, 2]))", "zip(sweep([1, 2]), [3, 4])", "sorted(s)"])
def test_a_sweep_whose_points_would_overwrite_each_other_is_refused(around):
    with pytest.raises(CellError, match="makes no axis"):
        run(f's = sweep([1])\nfor v in {around}:\n    y: "A" = 1')


def test_sweeps_are_evaluated_once_and_before_the_body():
    seen = []

    def values():
        seen.append(1)
        return [1, 2]

    run('for a in sweep([1, 2, 3]):\n    for b in sweep(values()):\n        x: "" = b', values=values)
    assert seen == [1]


@pytest.mark.parametrize(
    ("source", "line", "words"),
    [
        ("for v in sweep(1):\n  x: A = 3", 3, 'its unit is a text. Write x: "A"'),
        ("x: 5 = 3", 2, "is no unit"),
        ("x: 'A'", 2, "no value"),
        ("o.x: 'A' = 3", 2, "plain name"),
        ("def f():\n  x: 'A' = 3", 3, "inside of 'f'"),
        ("def f():\n  for v in sweep(3): pass", 3, "sweep inside of 'f'"),
        ("for v in sweep(1):\n for v in sweep(2): pass", 3, "axis 'v' is used twice"),
        ("for v in sweep(1):\n  x: 'A' = 3\nfor w in sweep(1):\n  x:'A'=3", 5, "recorded in line 3 already"),
        ("for v in sweep(1):\n  x: 'A' = 3\n  for w in sweep(1):\n    x:'A'=3", 5, "recorded in line 3 already"),
        ("for v in sweep(1):\n  v: 'A' = 3", 3, "is an axis"),
        ("x: 'A' = 1\nfor x in sweep(1): pass", 3, "recorded in line 2"),
        ("if 1:\n  x: 'A' = 1\nelse:\n  x: 'V' = 1", 5, "has the unit 'A' in line 3"),
        ("for a, b in sweep(1): pass", 2, "one name"),
        ("async for a in sweep(1): pass", 2, "not `async for`"),
        ("for v in sweep(1)\n  x=3", 2, "expected ':'"),
        ("return 3", 2, "'return' outside"),
        ("for a in sweep(1):\n  yield a", 3, "'yield' outside"),
        ("x = (1\n\n", 2, "never closed"),
    ],
)
def test_a_body_that_breaks_a_rule_is_refused_at_its_own_line(source, line, words):
    with pytest.raises(CellError, match=words.replace("(", r"\(")) as caught:
        compile_cell(source, "<cell>")
    assert caught.value.lineno == line
    assert caught.value.text.strip() == source.splitlines()[line - 2].strip()


def test_the_line_is_understood():
    assert parse_line("") == Request()
    assert parse_line("iv -b") == Request("iv", background=True)
    assert parse_line("log --every 250ms --for 5s") == Request("log", every_s=0.25, for_s=5.0)
    assert parse_line("log --every=1 --for=2min --note 'a b' --plot v,i --store /x") == Request(
        "log", every_s=1.0, for_s=120.0, note="a b", plot=("v", "i"), store="/x"
    )
    assert parse_line("log --every 1s").for_s is None


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("a b", "two names"),
        ("a/b", "name 'a/b'"),
        ("a-b", "letters, digits"),
        ("--evry 1s", "did you mean '--every'"),
        ("--every", "needs a value"),
        ("--every 1x", "is not a time"),
        ("--every 0s", "longer than zero"),
        ("--for 5s", "needs --every"),
        ("iv 'x", "quotation"),
    ],
)
def test_a_line_that_cannot_be_understood_says_why(line, words):
    with pytest.raises(PlanError, match=words):
        parse_line(line)


def test_durations():
    assert [parse_duration(t, "") for t in ("250ms", "1.5", "2min", ".5h", "1 s")] == [0.25, 1.5, 120, 1800, 1]
    assert isinstance(sweep([1]), Sweep)
