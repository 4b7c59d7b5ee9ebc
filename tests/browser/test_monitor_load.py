"""A whole minute of a busy session, as it is in a lab: ten variables at 100 Hz, a plot, and three browsers on its page."""

import json
import socket
import subprocess
import sys

import pytest

SECONDS = 60
NAMES = [f"v{k}" for k in range(10)]

SESSION = """
import asyncio, json, sys, time
from labnb import AsyncSession
from labnb.testing.lag import waited_s

folder, port, seconds = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
lags, waits, counts = [], [], [0, 0]

async def log(sesn):
    if not counts[0]:
        log.begin = time.monotonic()
    sesn.add_entry({f"v{k}": counts[0] for k in range(10)})
    counts[0] += 1
    await sesn.sleep(max(0.0, log.begin + 0.01 * counts[0] - time.monotonic()))

async def watch():
    begin, before = time.perf_counter(), waited_s()
    await asyncio.sleep(0.005)
    lags.append(time.perf_counter() - begin - 0.005)
    waits.append(waited_s() - before)

async def end(sesn):
    print("up", flush=True)
    await asyncio.to_thread(sys.stdin.readline)
    counts[1] = counts[0]
    lags.clear(), waits.clear()
    await asyncio.sleep(seconds)
    sesn.ask_exit()

def p99_ms(found):
    return 1e3 * sorted(found)[int(0.99 * len(found))]

with AsyncSession("busy", verbose=False, store=folder) as sesn:
    asyncio.run(sesn.monitor(log, watch, end(sesn), sesn.plot(["v0", "v1"]), server_port=port))
    picture = (sesn.path / "pictures" / "v0-v1.png").stat().st_size
with AsyncSession("busy", verbose=False, store=folder) as sesn:
    kept = all(sesn[f"v{k}"][1].tolist() == list(range(counts[0])) for k in range(10))
own = [lag - wait for lag, wait in zip(lags, waits)]
print(json.dumps({"entries": counts[0], "rate": (counts[0] - counts[1]) / seconds, "kept": kept, "picture": picture,
                  "lag": p99_ms(lags), "own": p99_ms(own), "longest": 1e3 * max(own)}))
"""

IDLE = """
import asyncio, sys, time
lags = []
async def main():
    end = time.monotonic() + float(sys.argv[1])
    while time.monotonic() < end:
        begin = time.perf_counter()
        await asyncio.sleep(0.005)
        lags.append(time.perf_counter() - begin - 0.005)
asyncio.run(main())
print(1e3 * sorted(lags)[int(0.99 * len(lags))])
"""

COUNT = """
window.got = {};
window.EventSource = class extends EventSource {
  constructor(url) {
    super(url);
    for (const kind of ["snapshot", "change"]) this.addEventListener(kind, ({ data }) => {
      for (const { name, v } of JSON.parse(data).variables) (window.got[name] ??= []).push(...v);
    });
  }
};
"""


@pytest.mark.speed
@pytest.mark.timeout(400)
def test_a_minute_of_ten_variables_at_100_hz_loses_nothing_and_keeps_the_loop_with_three_browsers(chrome, tmp_path):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-c", SESSION, tmp_path, str(port), str(SECONDS)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as session:
        assert session.stdout.readline() == "up\n"
        contexts = [chrome.new_context() for _ in range(3)]
        pages = [context.new_page() for context in contexts]
        for page in pages:
            page.add_init_script(COUNT)
            page.goto(f"http://127.0.0.1:{port}/")
            page.wait_for_selector(".card:nth-child(10) canvas")
        idle = subprocess.Popen([sys.executable, "-c", IDLE, str(SECONDS)], stdout=subprocess.PIPE, text=True)
        session.stdin.write("go\n")
        session.stdin.flush()
        for page in pages:
            page.wait_for_function(
                "() => document.querySelector('#state').innerText.includes('ended')", timeout=200_000
            )
        measured = json.loads(session.stdout.readline())
        machine = float(idle.communicate()[0])
        for page in pages:
            got = page.evaluate("() => window.got")
            assert got == {name: list(range(measured["entries"])) for name in NAMES}
        for context in contexts:
            context.close()
    print(
        f"loop lag p99 {measured['lag']:.1f} ms, of which the session's own {measured['own']:.1f} ms "
        f"(longest {measured['longest']:.1f} ms); an idle process beside it {machine:.1f} ms; {measured['rate']:.1f} Hz"
    )
    assert measured["kept"]
    assert measured["picture"] > 1000
    assert measured["rate"] > 95
    assert measured["own"] <= 20
    # A machine that is busy with other things holds up any process.
    assert measured["lag"] <= 20 + machine
