"""What a reservation costs, beside empty calls of the same transport between the same two processes."""

import subprocess
import sys
import time

import grpc

from labnb.session_management import PinMapContext, SessionManagementClient
from labnb.sharing import PinMapClient

ROUNDS = 5
PAIRS = 200

BARE = """
import asyncio, grpc
async def answer(request, context):
    return b""
async def main():
    server = grpc.aio.server()
    handler = grpc.unary_unary_rpc_method_handler(answer)
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("bare.Service", {"Call": handler}),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    print(f"listening on 127.0.0.1:{port}", flush=True)
    await server.wait_for_termination()
asyncio.run(main())
"""
PIN_MAP = """<PinMap xmlns="http://www.ni.com/TestStand/SemiconductorModule/PinMap.xsd" schemaVersion="1.6"><Instruments>
<NIDmmInstrument name="DMM1"/></Instruments><Pins><SystemPin name="Out"/></Pins><Connections>
<SystemConnection pin="Out" instrument="DMM1" channel="0"/></Connections></PinMap>"""


def started(*arguments):
    """Start a program that says where it listens; return it and the address."""
    process = subprocess.Popen([sys.executable, *arguments], stdout=subprocess.PIPE, text=True)
    return process, process.stdout.readline().removeprefix("listening on ").strip()


def ended(process):
    process.terminate()
    process.wait(10)
    process.stdout.close()


def seconds(work):
    """Return seconds for one of many."""
    began = time.perf_counter()
    for _ in range(PAIRS):
        work()
    return (time.perf_counter() - began) / PAIRS


def test_a_reservation_and_its_release_cost_little_more_than_two_empty_calls(tmp_path, capsys):
    (tmp_path / "one.pinmap").write_text(PIN_MAP, "utf-8")
    bare, bare_address = started("-c", BARE)
    service, address = started("-m", "labnb.cli", "serve", "--folder", str(tmp_path / "sharing"))
    try:
        with grpc.insecure_channel(bare_address) as bare_channel, grpc.insecure_channel(address) as channel:
            empty = bare_channel.unary_unary("/bare.Service/Call")
            context = PinMapContext(PinMapClient(grpc_channel=channel).update_pin_map(tmp_path / "one.pinmap"), None)
            client = SessionManagementClient(grpc_channel=channel)
            client.reserve_session(context, "Out").unreserve()
            empty(b"")
            # Turn by turn, so that other work on the machine meets both; it only ever adds.
            both = [
                (seconds(lambda: client.reserve_session(context, "Out").unreserve()), 2 * seconds(lambda: empty(b"")))
                for _ in range(ROUNDS)
            ]
    finally:
        ended(service)
        ended(bare)
    pair, limit = (min(times) for times in zip(*both, strict=True))
    with capsys.disabled():
        print(
            f"\n  reserve + unreserve {1 / pair:5.0f} pairs/s   two empty calls {1 / limit:5.0f} pairs/s   ratio {pair / limit:4.2f}"
        )
    assert pair < 2.5 * limit  # 700 pairs/s where 1750 pairs of empty calls are the limit
