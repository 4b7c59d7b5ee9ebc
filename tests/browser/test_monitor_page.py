"""The page of a session in a real Chromium: what a person sees of it, on a desk and on a phone."""

import asyncio
import math
import threading
import time
from concurrent.futures import Future
from pathlib import Path

import pytest

from labnb.remote.server import MonitorServer
from labnb.testing.observed import PlainSession

ARTIFACTS = Path(__file__).parents[2] / "test-artifacts"
TOKEN = "a-token-of-some-length"


class Shown:
    """A session with a server, on a loop in a thread of its own: playwright has this one."""

    def __init__(self, **options):
        self.session = cooldown()
        self.options = {"port": 0, **options}
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever)
        self.thread.start()
        self.start()

    def start(self):
        self.server = MonitorServer(self.session, **self.options)
        self.wait_for(self.server.start())
        self.options["port"] = self.server.port

    def wait_for(self, coroutine):
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(10)

    def log(self, **values):
        """Log on the session's own loop, as its tasks do."""
        done = Future()
        self.loop.call_soon_threadsafe(lambda: done.set_result(self.session.log(time.time(), **values)))
        done.result(10)

    def close(self):
        self.wait_for(self.server.close())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join()
        self.loop.close()


def cooldown():
    """Return a session with ten minutes behind it: a decay, a gap, a step, noise, very small numbers."""
    session = PlainSession("Cryostat cooldown")
    session.unit_of = {"temperature": "K", "leak": "A", "heater": "V", "level": "%"}
    session.values = {"gain": 3.0, "_hidden": 1.0}
    session.folders = {"2026-11-21 cooldown": Path("nowhere")}
    begin = time.time() - 600
    for k in range(1200):
        session.log(
            begin + k / 2,
            temperature=4.2 + 1.5 * math.exp(-k / 300),
            leak=3e-9 + 1e-9 * math.sin(k * k),
            heater=1.2 if k // 200 % 2 else 0.8,
            level=math.nan if 500 < k < 600 else 70 - k / 100,
        )
    return session


@pytest.fixture
def shown():
    """Return a function that shows a session; all end with the test."""
    made = []

    def show(**options):
        made.append(Shown(**options))
        return made[-1]

    yield show
    for each in made:
        each.close()


@pytest.fixture
def look(chrome):
    """Return a function that opens an address in a fresh browser; what goes wrong in it fails the test."""
    contexts, troubles = [], []

    def open_it(url, width=1300, height=900, scheme="light", may_fail=False):
        context = chrome.new_context(viewport={"width": width, "height": height}, color_scheme=scheme)
        contexts.append(context)
        page = context.new_page()
        origin = "/".join(url.split("/")[:3])
        page.on("pageerror", lambda error: troubles.append(str(error)))
        page.on("request", lambda request: request.url.startswith(origin) or troubles.append(f"asked {request.url}"))
        if not may_fail:
            page.on("console", lambda message: message.type == "error" and troubles.append(message.text))
        page.goto(url)
        return page

    yield open_it
    for context in contexts:
        context.close()
    assert not troubles, troubles


def value_of(page, name):
    return page.locator(".card", has=page.get_by_role("heading", name=name, exact=True)).locator(".value")


def drawn(page):
    """Return how many pixels of the first chart are of its curve's colour, the area below it left out."""
    return page.evaluate(
        """() => { const c = document.querySelector('.chart canvas');
        const d = c.getContext('2d').getImageData(0, 0, c.width, c.height).data;
        let n = 0; for (let i = 0; i < d.length; i += 4) if (d[i + 3] > 200 && d[i + 2] - d[i] > 60) n++; return n; }"""
    )


@pytest.mark.parametrize(
    ("name", "width", "height", "scheme", "columns"),
    [("desk-light", 1300, 900, "light", 3), ("desk-dark", 1300, 900, "dark", 3), ("phone", 390, 844, "dark", 1)],
)
def test_every_variable_has_a_card_with_its_value_and_its_curve(shown, look, name, width, height, scheme, columns):
    page = look(shown().server.url, width, height, scheme)
    page.wait_for_selector(".card:nth-child(4) canvas")
    page.wait_for_timeout(400)
    ARTIFACTS.mkdir(exist_ok=True)
    page.screenshot(path=str(ARTIFACTS / f"monitor-{name}.png"))
    assert page.locator("h1").inner_text() == "Cryostat cooldown"
    assert "running" in page.locator("#state").inner_text()
    assert value_of(page, "heater").inner_text().split() == ["1.2000", "V"]
    assert value_of(page, "leak").inner_text().endswith("nA")
    assert "gain" in page.locator("#parameters").inner_text()
    assert "hidden" not in page.locator("body").inner_text()
    assert "/api/runs/2026-11-21%20cooldown.zarr" in page.locator("#runs").inner_text()
    assert drawn(page) > 200
    lefts = page.evaluate("() => [...document.querySelectorAll('.card')].map(c => c.offsetLeft)")
    assert len(set(lefts)) == columns
    assert page.evaluate("() => document.documentElement.scrollWidth <= innerWidth")
    dark = page.evaluate("() => getComputedStyle(document.body).backgroundColor") == "rgb(16, 20, 24)"
    assert dark == (scheme == "dark")


def test_what_is_logged_appears_by_itself_and_the_end_is_told(shown, look):
    session = shown()
    page = look(session.server.url, may_fail=True)
    value_of(page, "temperature").wait_for()
    session.log(temperature=1.5, late=2e-3)
    page.wait_for_function(
        "() => document.body.innerText.includes('2.0000e−3') || document.body.innerText.includes('0.0020')"
    )
    assert value_of(page, "temperature").inner_text().split() == ["1.5000", "K"]
    session.log(temperature=math.nan, late=math.inf)
    page.wait_for_function("() => document.body.innerText.includes('overload')")
    assert value_of(page, "temperature").inner_text().split() == ["NaN", "K"]
    session.session.phase = "stopping"
    page.wait_for_function("() => document.querySelector('#state').innerText.includes('stopping')")
    session.wait_for(session.server.close())
    page.wait_for_function("() => document.querySelector('#state').innerText.includes('ended')")
    session.session.phase = "running"
    session.start()
    page.wait_for_function("() => document.querySelector('#state').innerText.includes('running')")


def test_a_window_shows_as_far_back_as_it_says(shown, look):
    page = look(shown().server.url)
    page.wait_for_selector(".card canvas")
    page.get_by_role("button", name="1 min").click()
    page.wait_for_timeout(600)
    short = page.evaluate("() => performance.getEntriesByType('resource').some(r => r.name.includes('window=60'))")
    assert page.get_by_role("button", name="1 min").get_attribute("aria-pressed") == "true"
    page.reload()
    page.wait_for_selector(".card canvas")
    assert page.get_by_role("button", name="1 min").get_attribute("aria-pressed") == "true"
    assert short or page.locator(".card").count() == 4


@pytest.mark.parametrize(("width", "height"), [(1300, 800), (390, 844)])
def test_one_variable_has_a_page_of_its_own(shown, look, width, height):
    page = look(shown().server.url, width, height, "dark")
    page.get_by_role("link", name="level").click()
    page.wait_for_selector(".statistics b")
    page.wait_for_timeout(300)
    page.screenshot(path=str(ARTIFACTS / f"monitor-plot-{width}.png"))
    assert page.locator(".card").count() == 1
    assert "lowest58.010 %" in page.locator(".statistics").inner_text().replace("\n", "").replace(" 58", "58")
    assert page.evaluate("() => document.documentElement.scrollWidth <= innerWidth")
    page.get_by_label("All variables").click()
    page.wait_for_selector(".card:nth-child(4)")


def test_a_token_is_asked_for_kept_and_taken_out_of_the_address(shown, look):
    server = shown(token=TOKEN).server
    page = look(server.url, may_fail=True)
    page.wait_for_selector("#ask:not([hidden])")
    assert "cooldown" not in page.content()
    page.get_by_label("token").fill("not the one of it")
    page.get_by_role("button", name="Show the session").click()
    page.wait_for_function("() => document.body.innerText.includes('not the one')")
    page.screenshot(path=str(ARTIFACTS / "monitor-token.png"))
    page.get_by_label("token").fill(TOKEN)
    page.get_by_role("button", name="Show the session").click()
    page.wait_for_selector(".card canvas")
    assert not page.locator("#ask").is_visible()
    other = look(f"{server.url}/plot/leak?token={TOKEN}", may_fail=True)  # the page of the next link is 401 at first
    other.wait_for_selector(".card canvas")
    assert TOKEN not in other.url
    other.get_by_label("All variables").click()
    other.wait_for_selector(".card:nth-child(4)")


def test_names_are_text_whatever_they_say(shown, look):
    session = shown()
    session.session.name = "<script>window.evil = 1</script>"
    session.log(**{'<img src=x onerror="window.evil = 1">': 1.0})
    session.session.values = {"<b>p</b>": 1.0}
    page = look(session.server.url)
    page.wait_for_selector(".card:nth-child(5) canvas")
    assert page.locator("h1").inner_text() == "<script>window.evil = 1</script>"
    assert page.evaluate("() => window.evil") is None
    assert page.locator("#parameters dt").inner_text() == "<b>p</b>"
    page.get_by_role("link", name="<img").click()
    page.wait_for_selector(".card canvas")
    assert page.evaluate("() => window.evil") is None


def test_a_page_waits_for_a_variable_that_is_not_logged_yet(shown, look):
    session = shown()
    page = look(f"{session.server.url}/plot/late", may_fail=True)
    page.wait_for_function("() => document.body.innerText.includes('“late” yet')")
    session.log(late=5.0)
    page.wait_for_selector(".card canvas")
    assert not page.locator("#message").is_visible()


def test_an_alarm_is_seen_and_read_out_as_long_as_it_lasts(shown, look):
    session = shown()
    page = look(session.server.url)
    page.wait_for_selector(".card:nth-child(4) canvas")
    session.session.exceeded = {"temperature": ["temperature > 4", "temperature > 4.1"]}
    page.wait_for_selector(".card.alarm")
    page.screenshot(path=str(ARTIFACTS / "monitor-alarm.png"))
    assert page.get_by_role("alert").filter(visible=True).inner_text().split("\n")[0] == "Alarm: temperature > 4 K"
    assert page.locator(".card.alarm h2").inner_text() == "temperature"
    assert page.get_by_role("alert").filter(visible=True).inner_text().endswith("temperature > 4.1 K")
    page.get_by_role("link", name="temperature > 4.1").click()
    page.wait_for_selector(".single .card.alarm")
    session.session.exceeded = {}
    page.wait_for_function("() => !document.querySelector('.card.alarm') && !document.querySelector('#alarms p')")


def test_a_clock_that_was_set_back_hides_nothing_that_comes_after(shown, look):
    session = shown()
    page = look(session.server.url)
    value_of(page, "temperature").wait_for()
    now = time.time()
    session.loop.call_soon_threadsafe(lambda: session.session.log(now - 300, temperature=7.25, new=1.0))
    page.wait_for_function("() => document.body.innerText.includes('7.2500')")
    session.loop.call_soon_threadsafe(lambda: session.session.log(now - 299, temperature=8.25))
    page.wait_for_function("() => document.body.innerText.includes('8.2500')")


def test_two_hundred_variables_and_very_long_names_are_shown_and_reached_by_the_keyboard(shown, look):
    session = shown()
    session.log(**{f"channel {k:03}": k * 1.5 for k in range(200)}, **{"a_very_long_name_" * 12: 1.0})
    page = look(session.server.url, 390, 844)
    page.wait_for_selector(".card:nth-child(205) canvas")
    assert page.evaluate("() => document.documentElement.scrollWidth <= innerWidth")
    page.screenshot(path=str(ARTIFACTS / "monitor-many.png"))
    page.keyboard.press("Tab")
    assert page.evaluate("() => document.activeElement.innerText") == "1 min"
    for _ in range(5):
        page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.wait_for_selector("body.single .card")
    page.goto(f"{session.server.url}/plot/{'a_very_long_name_' * 12}")
    page.wait_for_selector("body.single .card h2")
    assert page.evaluate(
        "() => { const h = document.querySelector('.card h2'); return h.scrollWidth <= h.clientWidth; }"
    )
    assert page.evaluate("() => document.documentElement.scrollWidth <= innerWidth")


def test_the_charts_of_a_young_session_begin_where_its_data_begin(shown, look):
    session = shown()
    session.session.kept.clear()
    now = time.time()
    for k in range(60):
        session.session.log(now - 30 + k / 2, temperature=4 + k % 2)
    session.wait_for(session.server.close())
    session.start()
    page = look(session.server.url)
    page.wait_for_selector(".card canvas")
    page.wait_for_timeout(300)
    first = page.evaluate(
        """() => { const c = document.querySelector('.chart canvas');
        const d = c.getContext('2d').getImageData(0, 0, c.width, c.height).data; let x = c.width;
        for (let i = 0; i < d.length; i += 4) if (d[i + 3] > 200 && d[i + 2] - d[i] > 60) x = Math.min(x, i / 4 % c.width);
        return x / c.width; }"""
    )
    assert first < 0.3


@pytest.mark.parametrize(
    "values", [[1795273600, 1795273800, 1795274000], [0, 1e-7, 2e-7], [999999.5, 1000000, 1000000.5]]
)
def test_no_two_ticks_of_an_axis_have_the_same_label(shown, look, values):
    page = look(shown().server.url)
    texts = page.evaluate("async (v) => (await import('/assets/text.js')).tickTexts(v, 1)", values)
    assert len(set(texts)) == len(values)


def test_a_session_without_anything_says_so(shown, look):
    session = shown()
    session.session.kept.clear()
    session.wait_for(session.server.close())
    session.start()
    page = look(session.server.url)
    page.wait_for_function("() => document.body.innerText.includes('Nothing has been logged yet')")
    page.screenshot(path=str(ARTIFACTS / "monitor-empty.png"))
