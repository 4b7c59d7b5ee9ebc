"""What a dry run says: the plan in words, and how long it will take if that is known from the latest run."""

import re

import pytest

from labnb.core import PlanError, sweep
from labnb.notebook.prepare import prepare
from labnb.notebook.request import parse_line
from labnb.session import Measurement, Run, describe

BODY = """
for t in sweep([280, 300], "K"):
    stage: "K" = t + 0.5
    for v in sweep(0, 1, 5, "V").there_and_back():
        i: "A" = v * t
"""


def job_of(body, line="iv"):
    return prepare(parse_line(line), body, "<cell>", {"sweep": sweep}).job


def test_dimensions_points_variables_and_axes_are_told(tmp_path):
    lines = describe(job_of(BODY), tmp_path).splitlines()
    assert lines[0] == "iv: t 2 × direction 2 × v 5 = 20 points"
    assert [line.split() for line in lines[1:]] == [
        ["stage", "(K)", "over", "t"],
        ["i", "(A)", "over", "t,", "v"],
        ["t", "=", "280,", "300", "K"],
        ["v", "=", "0", "…", "1,", "5", "values", "V"],
    ]


async def test_the_time_is_estimated_by_the_latest_run_of_the_name(tmp_path):
    await Run(job_of('for k in sweep(range(4)):\n    y: "" = __import__("time").sleep(0.05) or 1.0'), tmp_path).start()
    told = describe(job_of('for k in sweep(range(8000)):\n    y: "" = 1.0'), tmp_path)
    minutes, seconds = re.search(r"= 8000 points, about (\d\d):(\d\d) at the pace of the latest run", told).groups()
    assert 400 <= int(minutes) * 60 + int(seconds) <= 1800
    assert "about" not in describe(job_of(BODY, "other"), tmp_path)


@pytest.mark.parametrize(
    ("line", "body", "words"),
    [
        ("log --every 250ms", 'y: "" = 1.0', "log: every 0.25 s, until it ends"),
        ("log --every 250ms --for 1s", 'y: "" = 1.0', "log: time 4 = 4 points"),
        (
            "a",
            'for x in sweep.adaptive(0, 1, "V", most=9):\n    y: "" = x',
            "sweep.adaptive(0 … 1 V, goal=0.01, most=9)",
        ),
        ("a", 'n = 3\nfor x in sweep(range(n)):\n    y: "" = x', "the number of points is known when it begins"),
        ("a", 'y: "" = 1.0', "a: 1 point"),
    ],
)
def test_what_is_not_known_yet_is_said(tmp_path, line, body, words):
    assert words in describe(job_of(body, line), tmp_path)


def test_a_session_tells_what_it_would_measure_and_moves_nothing(tmp_path):
    session = Measurement("map", store=tmp_path / "data")
    session.parameter("x", sweep(0, 1, 5, "V"))
    session.repeat(3)
    session.acquire(name="y")(lambda x: 1 / 0)
    assert session.describe().splitlines()[0] == "map: x 5 × repeat 3 = 15 points"
    assert "time 8 = 8 points" in _series(tmp_path).describe(duration=2, interval=0.25)
    assert not (tmp_path / "data").exists()
    with pytest.raises(PlanError, match="measures nothing"):
        Measurement("empty").describe()


def _series(folder):
    session = Measurement("series", store=folder / "data")
    session.acquire(name="y")(lambda: 1 / 0)
    return session
