"""The notebook in which somebody writes a driver and brings others: what it promises, it shows."""


def test_the_notebook_refuses_what_may_not_be_and_shows_electrons(executed):
    done = executed("05_your_own_driver")
    assert done.told == ("done", "V", 201, 1, True)
    refused = done.cell("for attempt in").outputs
    assert refused[0].text.count("nothing was sent") == 5
    assert refused[1].data["text/plain"] == "0.1"  # where it was before the attempts
