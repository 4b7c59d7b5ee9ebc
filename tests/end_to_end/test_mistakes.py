"""What people get wrong in a `%%measure` cell, and how it is told: in a real kernel."""

import re

LOAD = "%load_ext labnb\nimport asyncio\nfrom labnb import demo_bench\npsu = demo_bench().psu"
SLOW = '%%measure slow -b\nfor x in sweep(range(1000)):\n    await asyncio.sleep(0.02)\n    y: "A" = x'

MISTAKES = {
    '%%measure iv\nfor x in sweep(range(5) "V"):\n    y: "A" = x': ["Cell In[", "line 2", "^", "forgot a comma"],
    "%%measure iv\nfor x in sweep(range(5)):\n    y: A = x": ["line 3", "y: A = x", "A is no unit", 'y: "A"'],
    '%%measure iv\ny: "A" = 1\nbreak': ["line 3", "'break' outside loop"],
    "%%measure iv\nfor x in sweep(range(5)):\n    y = x": ["nothing would be recorded", 'current: "A" ='],
    '%%measure iv\nfor x in sweep([1, float("nan")]):\n    y: "A" = x': ["line 2", "value 1 is nan"],
    '%%measure iv\nfor x in sweep(0, 1 / 0, 3):\n    y: "A" = x': ["----> 2 for x", "ZeroDivisionError"],
    '%%measure a/b\ny: "A" = 1': ["run name 'a/b' cannot be used", "no '/'"],
    '%%measure iv --evry 3\ny: "A" = 1': ["does not know --evry", "did you mean '--every'"],
    '%%measure iv --store /proc/nowhere\ny: "A" = 1': ["cannot be recorded below /proc/nowhere"],
    "%%measure iv\nfor x in sweep(range(5)):\n    psu.channel(1).set(voltage=99)\n    y: 'A' = x": [
        "----> 3     psu.channel(1)",
        "LimitError",
        "at x=0 (point 1 of 5)",
    ],
}


def told(kernel, code):
    """Run a cell that must fail; return what the person sees, without colours."""
    content, outputs = kernel.run(code)
    assert content["status"] == "error", code
    (shown,) = [m for m in outputs if "traceback" in m]
    return re.sub(r"\x1b\[[0-9;]*m", "", "\n".join(shown["traceback"]))


def test_every_mistake_is_shown_at_its_own_line_and_without_the_insides_of_labnb(kernel_in, tmp_path):
    kernel = kernel_in(tmp_path)
    kernel.run(LOAD)
    for code, words in MISTAKES.items():
        text = told(kernel, code)
        for word in words:
            assert word in text, f"{code}\n{text}"
        assert "run_cell_magic" not in text, text
        assert "labnb/" not in text.replace("labnb/demo", ""), text


def test_a_run_that_goes_on_is_not_lost_by_another_one_of_its_name(kernel_in, tmp_path):
    kernel = kernel_in(tmp_path)
    kernel.run(LOAD)
    kernel.run(SLOW)
    text = told(kernel, SLOW)
    assert "slow still measures (run slow-" in text
    assert "slow.stop()" in text
    assert kernel.value("slow.stop(); await slow; slow.state.value") == "'stopped'"
    content, _ = kernel.run(SLOW)
    assert content["status"] == "ok"
    kernel.run("slow.cancel()")
