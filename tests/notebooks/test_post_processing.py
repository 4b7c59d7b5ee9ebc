"""The notebook about what comes after a measurement: its numbers are those that the bench was given."""


def test_the_notebook_finds_what_the_bench_was_given(executed):
    done = executed("04_post_processing")
    ideality, saturation, noise, runs, name = done.told
    assert ideality < 0.005
    assert saturation < 0.03
    assert 5 < noise < 25  # 50 times less time for a reading: sqrt(50) times the noise
    assert (runs, name) == (2, "iv_slow")
    header = (done.folder / "iv_slow.csv").read_text().splitlines()[0]
    assert header.startswith("temperature (K),voltage (V),stage (K),current (A),")
