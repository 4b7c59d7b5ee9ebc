"""The notebooks that tell a story: what they say about their numbers is so."""

import pytest


def test_the_map_counts_electrons_and_leaves_the_gates_at_zero(executed):
    assert executed("02_two_dimensional_map").told == (4, (61, 76), 80, 0.0)


def test_the_tasks_move_the_rail_while_it_is_measured(executed):
    points, highest, cable, script = executed("06_background_tasks").told
    assert points == 20
    assert 4.8 < highest < 5.05
    assert cable == pytest.approx(0.1, rel=0.1)
    assert script == 20
    assert executed("06_background_tasks").cell("get_output_state").outputs[0].data["text/plain"] == "(False, False)"


def test_the_killed_night_is_completed_without_a_lost_point(executed):
    done = executed("07_resume_after_a_crash")
    assert done.told == ("done", 68, 41, 33)
    assert "ended with -9" in done.cell("the process ended").outputs[0].text
    (error,) = [o for cell in done.code for o in cell.outputs if o.output_type == "error"]
    assert "21 points kept" in "".join(error.traceback)


def test_the_light_moves_at_the_speed_that_it_was_given(executed):
    frames, speed, brightest = executed("11_big_data").told
    assert frames == 240
    assert speed == pytest.approx(0.3, rel=0.02)
    assert all(380 < each < 520 for each in brightest)
