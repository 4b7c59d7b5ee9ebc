"""One process holds an instrument; clients at sockets take turns, whatever becomes of one of them."""

import asyncio
import itertools
import os
import signal
import socket
import struct
import subprocess
import sys
import threading
import warnings
from contextlib import suppress

import numpy as np
import pytest
import pyvisa

from labnb.core import LinkError
from labnb.instruments import PowerSupply, connect
from labnb.sharing import gateway, origin, outlets
from labnb.sim import Bench, Generator, register
from labnb.sim import PowerSupply as SimulatedSupply

pytest.importorskip("pyvisa_py", reason="pip install 'labnb[hardware]'")

ADDRESS = "USB0::0x2A8D::0x8F01::CN1::INSTR"
PAIRS = (("a", "gnd"), ("b", "gnd"), ("c", "gnd"))
_NAMES = itertools.count()


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("LABNB_SHARING", str(tmp_path))
    return tmp_path


@pytest.fixture
def bench():
    """A bench with a supply, and `bench.library`, by which PyVISA finds it."""
    made = Bench(clock="skip", seed=1)
    made.supply = SimulatedSupply(made, "psu", ADDRESS, outputs=PAIRS)
    made.library = f"test-gateway{next(_NAMES)}@labnb"
    register(made.library.removesuffix("@labnb"), made)
    return made


class Served:
    """A gateway on an event loop of its own, as in a process of its own."""

    def __init__(self, resources, library, **options):
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()
        self._gateway = gateway(resources, visa_library=library, **options)

    def _run(self, work):
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(20)

    def __enter__(self):
        try:
            return self._run(self._gateway.__aenter__())
        except BaseException:
            self._end()
            raise

    def __exit__(self, *_):
        try:
            self._run(self._gateway.__aexit__(None, None, None))
        finally:
            self._end()

    def _end(self):
        left = asyncio.run_coroutine_threadsafe(self._left(), self._loop).result(20)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        assert not left

    async def _left(self):
        return asyncio.all_tasks() - {asyncio.current_task()}


@pytest.fixture
def outlet(bench):
    with Served(ADDRESS, bench.library, timeout_s=0.3) as (served,):
        yield served


class Client:
    """A bare socket, as any program may use it."""

    def __init__(self, outlet):
        self.socket = socket.create_connection(("127.0.0.1", outlet.port), timeout=10)
        self.file = self.socket.makefile("rb")

    def send(self, text):
        self.socket.sendall(text if isinstance(text, bytes) else text.encode() + b"\n")

    def ask(self, text):
        self.send(text)
        return self.file.readline().decode().strip()

    def is_ended_by(self, text):
        """Send `text`; return whether the other side ends the connection."""
        try:
            return self.ask(text) == ""
        except ConnectionError:
            return True

    def close(self):
        self.file.close()
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


@pytest.fixture
def opened():
    """Open an address by pyvisa-py, with the terminators of a socket."""
    made = []

    def open_resource(outlet):
        with warnings.catch_warnings():  # pyvisa-py's, of the packages that it misses
            warnings.simplefilter("ignore")
            made.append(pyvisa.ResourceManager("@py").open_resource(outlet.address))
        made[-1].read_termination = made[-1].write_termination = "\n"
        made[-1].timeout = 10_000
        return made[-1]

    yield open_resource
    for each in made:
        each.close()


def test_several_clients_each_get_the_answers_to_their_own_questions(outlet, opened):
    wrong = []

    def converse(channel, count):
        for number in range(count):
            voltage = (number * 7 + channel) % 6
            clients[channel].write(f"VOLT {voltage},(@{channel})")
            if float(clients[channel].query(f"VOLT? (@{channel})")) != voltage:
                wrong.append((channel, number))

    clients = {channel: opened(outlet) for channel in (1, 2, 3)}
    threads = [threading.Thread(target=converse, args=(channel, 100)) for channel in clients]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_an_instrument_of_labnb_works_through_it_as_through_any_address(outlet):
    psu = connect(outlet.address, visa_library="@py", name="shared")
    try:
        assert isinstance(psu, PowerSupply)
        psu.channel(1).set(voltage=1.5, current_limit=0.1).on()
        assert psu.channel(1).get_output_state().result()
        with Client(outlet) as other:
            assert float(other.ask("VOLT? (@1)")) == 1.5
    finally:
        psu.make_safe_now()
        psu.close()


@pytest.mark.parametrize("last", ["*IDN?", "VOLT 3,(@1);VOLT? (@1);*OPC?", "MEAS:VOLT? (@1)"])
def test_a_client_that_is_gone_before_its_answer_leaves_the_next_in_step(outlet, last):
    with Client(outlet) as stays:
        for number in range(20):
            gone = Client(outlet)
            gone.send(last)
            gone.close()
            assert stays.ask(f"*ESE {number};*ESE?") == str(number)


def test_half_a_message_of_a_client_that_died_is_never_sent(outlet):
    with Client(outlet) as first:
        first.ask("VOLT 2,(@1);*OPC?")
    dying = Client(outlet)
    dying.send(b"VOLT 5")
    dying.close()
    with Client(outlet) as next_one:
        assert next_one.ask("*OPC?") == "1"
        assert float(next_one.ask("VOLT? (@1)")) == 2
        assert next_one.ask("SYST:ERR?").startswith("0,")


def test_what_was_sent_before_a_client_left_is_done(outlet):
    leaving = Client(outlet)
    leaving.send("VOLT 4,(@2)")
    leaving.close()
    with Client(outlet) as next_one:
        assert float(next_one.ask("VOLT? (@2)")) == 4


def test_compound_questions_have_one_answer_and_several_messages_their_answers_in_order(outlet):
    with Client(outlet) as client:
        assert client.ask("VOLT 1,(@1);:VOLT? (@1);*ESE 5;*ESE?;*OPC?").split(";")[1:] == ["5", "1"]
        client.send(b"*ESE 1;*ESE?\n*ESE 2;*ESE?\r\n*ESE 3;*ESE?\n")
        assert [client.file.readline().strip() for _ in range(3)] == [b"1", b"2", b"3"]
        client.send('DISP:TEXT "is this a question?"')
        assert client.ask("*OPC?") == "1"


@pytest.mark.parametrize("kind", ["timeout", "drop", "truncate"])
def test_an_answer_that_does_not_come_holds_up_nobody_for_longer_than_the_timeout(bench, outlet, kind, caplog):
    with Client(outlet) as unlucky, Client(outlet) as other:
        other.ask("*ESE 17;*ESE?")
        bench.fault("psu", kind, match="MEAS")
        unlucky.send("MEAS:VOLT? (@1)")
        assert other.ask("*ESE?") == "17"  # the mask is as it was
        assert unlucky.ask("*OPC?") == "1"  # it is still connected, and in step
    assert "no answer to b'MEAS:VOLT? (@1)' within 0.3 s" in caplog.text


def test_a_question_that_the_instrument_does_not_know_times_out_and_the_next_is_answered(outlet):
    with Client(outlet) as client:
        client.send("NONSENSE?")
        assert client.ask("*OPC?") == "1"
        assert client.ask("SYST:ERR?").startswith("-113")


def test_a_lost_connection_ends_all_conversations_and_a_new_one_works_again(bench, outlet, caplog):
    with Client(outlet) as one, Client(outlet) as other:
        assert one.ask("*OPC?") == other.ask("*OPC?") == "1"
        bench.fault("psu", "disconnect", match="MEAS")
        for client in (one, other):
            assert client.is_ended_by("MEAS:VOLT? (@1)")
    bench.reconnect("psu")
    with Client(outlet) as first:
        assert first.is_ended_by("*OPC?")  # nobody goes on as if nothing had happened
    with Client(outlet) as after:
        assert after.ask("*OPC?") == "1"
    assert "its connection was lost and is open again" in caplog.text


def test_a_command_and_a_question_of_a_megabyte_arrive_whole(outlet):
    with Client(outlet) as client:
        client.send('DISP:TEXT "' + "x" * 1_000_000 + '"')
        assert client.ask("SYST:ERR?").startswith("0,")
        client.send("VOLT 2,(@1)")
        assert float(client.ask("VOLT?" + " " * 1_000_000 + "(@1)")) == 2
        assert client.ask(";".join(["*OPC?"] * 10_000)) == ";".join("1" * 10_000)


def test_clients_that_say_nothing_or_never_read_hold_up_nobody(outlet):
    silent = [Client(outlet) for _ in range(50)]
    greedy = Client(outlet)
    greedy.socket.setblocking(False)
    with suppress(BlockingIOError):
        for _ in range(200):
            greedy.socket.send(b"*IDN?\n" * 1000)
    with Client(outlet) as client:
        client.socket.settimeout(2)
        assert [client.ask("*OPC?") for _ in range(20)] == ["1"] * 20
    for each in (*silent, greedy):
        each.close()


def test_each_client_ends_its_messages_as_it_likes_and_one_that_ends_none_is_waited_for(outlet):
    with Client(outlet) as windows, Client(outlet) as unix, Client(outlet) as endless:
        endless.send(b"VOLT 5,(@1)")
        windows.send(b"*ESE 3;*ESE?\r\n")
        assert windows.file.readline() == b"3\n"
        assert unix.ask("*ESE?") == "3"
        assert float(unix.ask("VOLT? (@1)")) == 0
        endless.send(b"\n")
        assert endless.ask("*OPC?") == "1"
        assert float(unix.ask("VOLT? (@1)")) == 5


def test_status_bytes_are_the_instruments_own_and_one_for_all(outlet):
    with Client(outlet) as one, Client(outlet) as other:
        assert one.ask("*ESR?") == "128"  # it was switched on
        one.send("NONSENSE 1")
        assert int(other.ask("*STB?")) & 4  # something is in the error queue
        assert int(other.ask("*ESR?")) == 32  # a command error
        assert one.ask("*ESR?") == "0"  # reading clears it, for all
        assert one.ask("SYST:ERR?").startswith("-113")
        assert int(one.ask("*STB?")) & 4 == 0


def test_garbage_and_blocks_without_an_end_harm_their_sender_only(outlet):
    with Client(outlet) as other:
        for data in (bytes(range(256)) * 10 + b"\n", b"DATA #41000abc", b"DATA #9999999999", b"#", b"\n" * 1000):
            bad = Client(outlet)
            bad.send(data)
            bad.close()
            assert other.ask("*OPC?") == "1"
        with Client(outlet) as bad:
            bad.send(b"DATA #9999999999")  # more than a gateway takes
            assert bad.is_ended_by("*OPC?")
        other.send("*CLS")
        assert other.ask("SYST:ERR?").startswith("0,")


def test_who_is_cut_off_in_the_middle_of_a_question_leaves_the_next_in_step(outlet):
    with Client(outlet) as stays:
        for number in range(20):
            gone = Client(outlet)
            gone.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # a reset, no farewell
            gone.send("MEAS:VOLT? (@1)")
            gone.close()
            assert stays.ask(f"*ESE {number};*ESE?") == str(number)


def test_a_client_that_asks_without_end_starves_nobody(outlet):
    with Client(outlet) as greedy, Client(outlet) as modest:
        greedy.send(b"*OPC?\n" * 2000)
        assert [modest.ask("*ESE?") for _ in range(5)] == ["0"] * 5
        greedy.socket.settimeout(0.0)
        assert greedy.socket.recv(2**20).count(b"1") < 2000


def test_an_answer_that_comes_too_late_is_never_taken_for_the_next_ones():
    bench = Bench(clock="real", seed=4)
    SimulatedSupply(bench, "psu", ADDRESS, outputs=PAIRS)
    library = f"test-gateway{next(_NAMES)}@labnb"
    register(library.removesuffix("@labnb"), bench)
    with (
        Served(ADDRESS, library) as (patient,),
        Served(patient.address, "@py", timeout_s=0.2) as (hasty,),  # over a stream, where what is late still comes
        Client(hasty) as unlucky,
        Client(hasty) as other,
    ):
        assert other.ask("*ESE 17;*ESE?") == "17"
        bench.fault("psu", "slow", match="MEAS", delay_s=0.6)
        unlucky.send("MEAS:VOLT? (@1)")
        assert other.ask("*ESE?") == "17"
        assert other.ask("VOLT 3,(@1);VOLT? (@1);*ESE?").endswith(";17")
        assert unlucky.ask("*OPC?") == "1"


@pytest.fixture
def generator_bench():
    made = Bench(clock="skip", seed=2)
    Generator(made, "awg", ADDRESS, outputs=PAIRS[:2])
    made.library = f"test-gateway{next(_NAMES)}@labnb"
    register(made.library.removesuffix("@labnb"), made)
    return made


def test_a_binary_upload_arrives_whole_whatever_its_bytes_are(generator_bench, opened):
    with Served(ADDRESS, generator_bench.library) as (served,):
        awg = opened(served)
        values = np.linspace(-1, 1, 10_000, dtype=">f4")
        assert b"\n" in values.tobytes()
        awg.write("FORM:BORD NORM")
        awg.write_binary_values("SOUR1:DATA:ARB ramp,", values, datatype="f", is_big_endian=True)
        assert awg.query("SYST:ERR?").startswith("0,")
        awg.write("SOUR1:FUNC:ARB ramp")
        assert int(awg.query("SOUR1:FUNC:ARB:POIN?")) == len(values)


def test_binary_answers_arrive_whole_also_through_a_second_gateway(opened):
    from labnb.sim import Oscilloscope

    bench = Bench(clock="skip", seed=3)
    Oscilloscope(bench, "scope", ADDRESS, inputs=(*PAIRS, ("d", "gnd")))
    library = f"test-gateway{next(_NAMES)}@labnb"
    register(library.removesuffix("@labnb"), bench)
    with (
        Served(ADDRESS, library) as (first,),
        warnings.catch_warnings(),
    ):
        warnings.simplefilter("ignore")
        with Served(first.address, "@py") as (second,):
            scope = opened(second)
            assert second.identity == first.identity
            scope.write("DIG CHAN1;:WAV:SOUR CHAN1;FORM WORD")
            trace = scope.query_binary_values("WAV:DATA?", datatype="H", is_big_endian=True, container=np.array)
            points = int(scope.query("WAV:POIN?"))
            assert len(trace) == points > 100
            assert scope.query("SYST:ERR?").startswith("0,")


def test_gateways_tell_what_they_serve_while_they_do(bench, folder):
    assert outlets() == ()
    with Served(ADDRESS, bench.library) as (served,):
        assert outlets() == (served,)
        assert origin(served.address) == (ADDRESS, bench.library)
        assert origin("TCPIP0::127.0.0.1::1::SOCKET", "@py") == ("TCPIP0::127.0.0.1::1::SOCKET", "@py")
        assert "EDU36311A" in str(served)
    assert outlets() == ()
    (folder / "gateways" / "1.json").write_text('{"pid": 1')
    (folder / "gateways" / "2.json").write_text(
        '{"resource": "a", "library": "", "port": 2, "identity": "", "pid": 999999999, "started": "1"}'
    )
    (folder / "gateways" / "3.999999999").write_text("")
    assert outlets() == ()  # the one was cut off, the others' process is no more
    with Served(ADDRESS, bench.library) as (served,):
        assert [each.name for each in (folder / "gateways").iterdir()] == [f"{served.port}.json"]
    assert list((folder / "gateways").iterdir()) == []


def test_at_the_end_the_safe_state_is_sent_and_the_resource_closed(bench):
    with (
        Served(ADDRESS, bench.library, safe_state=lambda identity: ("OUTP OFF,(@1:3)",) * ("EDU" in identity)) as (
            served,
        ),
        Client(served) as client,
    ):
        assert client.ask("OUTP ON,(@1);OUTP? (@1)") == "1"
    with Served(ADDRESS, bench.library) as (again,), Client(again) as client:
        assert client.ask("OUTP? (@1)") == "0"


def test_what_cannot_be_opened_and_a_port_that_is_taken_are_errors(bench):
    with (
        pytest.raises(LinkError, match="nothing can be opened at 'GPIB0::9::INSTR'"),
        Served("GPIB0::9::INSTR", bench.library),
    ):
        pass
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with (
            pytest.raises(LinkError, match=f"127.0.0.1:{port} cannot be listened at"),
            Served(ADDRESS, bench.library, port=port),
        ):
            pass


def command(*arguments):
    return [sys.executable, "-m", "labnb.cli", "gateway", *arguments]


def test_the_command_serves_a_bench_and_makes_it_safe_when_it_is_told_to_end(folder):
    process = subprocess.Popen(
        command("--visa-library", "fast@labnb", "USB0::0x2A8D::0x8F01::CN6123::INSTR"),
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        line = process.stdout.readline()
        assert line.startswith("TCPIP0::127.0.0.1::")
        assert "EDU36311A" in line
        (served,) = outlets()
        with Client(served) as client:
            assert client.ask("OUTP ON,(@1);OUTP? (@1)") == "1"
            process.send_signal(signal.SIGTERM)
            assert process.wait(20) == 0
        assert outlets() == ()
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        ((), 1, "say which"),
        (("GPIB0::9::INSTR", "--visa-library", "fast@labnb"), 1, "nothing can be opened at 'GPIB0::9::INSTR'"),
        (("no.yaml",), 1, "no.yaml"),
        (("X", "--timeout", "0"), 2, "is no time"),
    ],
)
def test_the_command_says_what_is_wrong(arguments, code, says):
    done = subprocess.run(command(*arguments), capture_output=True, text=True, timeout=60, check=False, env=os.environ)
    assert (done.returncode, says in done.stderr, "Traceback" in done.stderr) == (code, True, False), done.stderr
