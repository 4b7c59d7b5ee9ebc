"""The notebook in which somebody writes an instrument, a part and a bench: what it promises, it shows."""

import re

NAME = "03_own_simulated_instrument"


def test_the_notebook_measures_what_its_part_was_given(executed):
    done = executed(NAME)
    assert done.told == ("done", 31, 0.7, 0.0)
    slips = done.cell("slips.yaml").outputs[0].text
    assert re.findall(r"line (\d+)", slips) == ["4", "8", "12"]
    assert "did you mean 'keysight/EDU36311A'" in slips
    measured = done.cell("%%measure").outputs
    assert [list(output.data) for output in measured] == [["text/plain", "image/png"]]  # a frozen picture, no widget


def test_instrument_and_part_fit_in_thirty_lines_each(executed):
    for word in ("class SimulatedLamp", "class Photoresistor"):
        assert len(executed(NAME).cell(word).source.splitlines()) <= 30
