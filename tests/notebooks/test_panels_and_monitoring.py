"""The notebooks without loops: what is clicked is what is measured, and what is watched is kept."""

import base64


def test_the_panel_measures_what_the_copied_cell_measures(executed):
    done = executed("09_panels_without_code")
    sizes, same, chosen, text = done.told
    assert sizes == {"setpoint": 3, "voltage": 41}
    assert same < 3e-7  # of 22 mA: the noise of the meter, 0.07 µA at most between two runs
    assert chosen == 2
    pasted = [
        line for line in done.cell("%%measure iv_settled").source.splitlines()[1:] if not line.endswith("# added")
    ]
    assert pasted == text.splitlines()[1:]  # what `Copy as cell` copies


def test_panels_are_kept_as_pictures_with_their_words(executed):
    done = executed("09_panels_without_code")
    shown = {"sweeping\n": "Fast axis", "front\n": "channel 2", "going\n": "task breathing", "found\n": "▸"}
    for code, word in shown.items():
        (cell,) = [cell for cell in done.code if f"{cell.source}\n".endswith(f"\n{code}")]
        output, *below = cell.outputs  # below a sweep panel there is a place for the picture of a run that goes on
        assert all(each.data == {"text/plain": ""} for each in below)
        assert set(output.data) == {"image/png", "text/plain"}
        assert word in output.data["text/plain"]
        assert len(base64.b64decode(output.data["image/png"])) > 4_000


def test_the_alarm_rings_and_the_colleague_records(executed):
    done = executed("08_monitoring")
    rang, hottest, entries, on = done.told
    assert rang[0].startswith("ALARM temperature > 325: ")
    assert rang[1].startswith("over temperature > 325: ")
    assert 325 < hottest < 342
    assert entries > 50
    assert on == (False, False)
    told = "".join(output.get("text", "") for output in done.cell("await session.monitor(").outputs)
    assert "meanwhile: " in told
