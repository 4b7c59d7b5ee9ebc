"""The link policy over real sockets: an instrument behind a loopback port, reached by pyvisa-py."""

import re
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress

import pytest

from labnb.core import LinkError, LinkTimeout, SettingsLost
from labnb.instruments import Instrument, Parameter, SteadyLink, connect
from labnb.instruments.policy import LinkPolicy
from labnb.instruments.steady import open_steady
from labnb.testing.links import LinkContract

pytest.importorskip("pyvisa_py", reason="pip install 'labnb[hardware]'")

TIMEOUT_S = 0.08
Misdeed = Callable[["Server", socket.socket, bytes], None]


class Server:
    """An instrument that speaks SCPI on a raw socket; `misdeeds` befall the next answers to what they match."""

    def __init__(self, *, ends: bytes = b"\n") -> None:
        self.ends = ends
        self.identity = "LABNB,SOCKET,SN7,1.0"
        self.level, self.mask, self.events, self.taken = 0.0, 0, 128, 0
        self.speaks_488 = True
        self.misdeeds: list[tuple[str, Misdeed]] = []
        self.received: list[str] = []
        self._connections: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self.port = 0
        self.start()

    def start(self) -> None:
        self.stopping = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", self.port))
        self.port = self._listener.getsockname()[1]
        self._thread(self._accept, self._listener)

    def stop(self) -> None:
        """Close the port and every connection, as switching off does."""
        self.stopping.set()
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for connection in self._connections:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            if thread is not threading.current_thread():
                thread.join(5)
        self._connections.clear()
        self._threads.clear()

    def reboot(self) -> None:
        self.stop()
        self.level, self.mask, self.events = 0.0, 0, 128
        self.start()

    def misbehave(self, match: str, misdeed: Misdeed) -> None:
        self.misdeeds.append((match, misdeed))

    @property
    def address(self) -> str:
        return f"TCPIP0::127.0.0.1::{self.port}::SOCKET"

    def _thread(self, target: Callable[[socket.socket], None], peer: socket.socket) -> None:
        thread = threading.Thread(target=target, args=(peer,))
        self._threads.append(thread)
        thread.start()

    def _accept(self, listener: socket.socket) -> None:
        with suppress(OSError):
            while True:
                connection, _ = listener.accept()
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self._connections.append(connection)
                self._thread(self._serve, connection)

    def _serve(self, connection: socket.socket) -> None:
        with suppress(OSError), connection, connection.makefile("rb") as lines:
            for line in lines:
                message = line.decode("ascii").strip()
                self.received.append(message)
                answers = [answer for unit in message.split(";") if (answer := self._execute(unit)) is not None]
                if answers:
                    self._answer(connection, message, ";".join(answers).encode("ascii") + self.ends)

    def _answer(self, connection: socket.socket, message: str, data: bytes) -> None:
        for index, (match, misdeed) in enumerate(self.misdeeds):
            if re.search(match, message):
                del self.misdeeds[index]
                misdeed(self, connection, data)
                return
        connection.sendall(data)

    def _execute(self, unit: str) -> str | None:
        word, _, value = unit.partition(" ")
        if word.startswith("*") and word not in ("*IDN?", "*CLS") and not self.speaks_488:
            return None
        if word in ("*ESE", "LEV"):
            setattr(self, {"*ESE": "mask", "LEV": "level"}[word], float(value))
            return None
        answers: dict[str, Callable[[], str]] = {
            "*IDN?": lambda: self.identity,
            "*ESE?": lambda: f"{self.mask:g}",
            "*ESR?": self._take_events,
            "*STB?": lambda: "32" if self.events & int(self.mask) else "0",
            "SYST:ERR?": lambda: '0,"No error"',
            "LEV?": lambda: f"{self.level:g}",
            "ECHO?": lambda: value,
            "FETC?": self._take,
        }
        return answers[word]() if word in answers else None

    def _take_events(self) -> str:
        events, self.events = self.events, 0
        return str(events)

    def _take(self) -> str:
        self.taken += 1
        return str(self.taken)


def half(server: Server, connection: socket.socket, data: bytes) -> None:
    connection.sendall(data[: len(data) // 2])


def silence(server: Server, connection: socket.socket, data: bytes) -> None:
    pass


def hang_up(server: Server, connection: socket.socket, data: bytes) -> None:
    connection.shutdown(socket.SHUT_RDWR)


def half_and_hang_up(server: Server, connection: socket.socket, data: bytes) -> None:
    connection.sendall(data[: len(data) // 2])
    connection.shutdown(socket.SHUT_RDWR)


def in_pieces(server: Server, connection: socket.socket, data: bytes) -> None:
    for byte in data:
        connection.sendall(bytes([byte]))


def twice(server: Server, connection: socket.socket, data: bytes) -> None:
    connection.sendall(data + data)


def twice_in_pieces(server: Server, connection: socket.socket, data: bytes) -> None:
    connection.sendall(data + data[:1])
    for byte in data[1:]:
        connection.sendall(bytes([byte]))


def garbage(server: Server, connection: socket.socket, data: bytes) -> None:
    connection.sendall(bytes(255 - byte for byte in data[:-1]) + data[-1:])


def late(server: Server, connection: socket.socket, data: bytes) -> None:
    server.stopping.wait(1.5 * TIMEOUT_S)  # an instrument answers in order: what follows is late, too
    connection.sendall(data)


EVERYTHING = [half, silence, hang_up, half_and_hang_up, in_pieces, twice, twice_in_pieces, garbage, late]


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    yield server
    server.stop()


POLICY = LinkPolicy(backoff_s=0.005, longest_backoff_s=0.05)


def steady(server: Server) -> SteadyLink:
    return open_steady(server.address, "@py", name="box", timeout_s=TIMEOUT_S, policy=POLICY)


@pytest.fixture
def link(server: Server) -> Iterator[SteadyLink]:
    link = steady(server)
    yield link
    link.close()


class TestSteadyLinkOverASocket(LinkContract):
    @pytest.fixture
    def link(self, server: Server):
        link = steady(server)
        yield link
        link.close()

    @pytest.fixture
    def silent(self):
        return "NONSENSE?"


@pytest.mark.parametrize("misdeed", EVERYTHING, ids=lambda misdeed: misdeed.__name__)
def test_a_reading_survives_whatever_happens_to_its_answer(server: Server, link: SteadyLink, misdeed: Misdeed):
    for number in (100, 200, 300):
        server.misbehave(f"ECHO. {number}", misdeed)
        assert link.query(f"ECHO? {number}") == str(number)
        assert link.query(f"ECHO? {number + 1}") == str(number + 1)


@pytest.mark.parametrize("misdeed", [half, silence, hang_up, garbage, late], ids=lambda misdeed: misdeed.__name__)
def test_what_takes_something_is_asked_once_and_its_answer_is_nobody_elses(
    server: Server, link: SteadyLink, misdeed: Misdeed
):
    assert link.query("FETC?") == "1"
    server.misbehave("FETC", misdeed)
    with pytest.raises(LinkError, match=r"not sent a second time"):
        link.query("FETC?")
    assert link.query("ECHO? 2.5") == "2.5"
    assert server.received.count("FETC?") == 2


def test_a_peer_that_hangs_up_again_and_again_is_given_up_loudly(server: Server, link: SteadyLink):
    for _ in range(10):
        server.misbehave("ECHO", hang_up)
    with pytest.raises(LinkError, match=r"box \(TCPIP0::127.0.0.1.*ECHO\? 1.*asked 3 times"):
        link.query("ECHO? 1")
    server.misdeeds.clear()
    assert link.query("ECHO? 2") == "2"


def test_a_restarted_server_that_kept_its_settings_goes_on(server: Server, link: SteadyLink):
    link.write("LEV 2")
    assert link.query("LEV?") == "2"
    server.stop()
    server.start()
    assert link.query("LEV?") == "2"


class Box(Instrument):
    level = Parameter("LEV {:g}", "LEV?", unit="V")


def test_a_rebooted_instrument_is_told_by_its_event_register(server: Server):
    box = Box(steady(server), name="box", address=server.address)
    box.level.set(2.0)
    server.reboot()
    with pytest.raises(SettingsLost, match=r"box .*set it up again"):
        box.level.get()
    assert box.level.cached is None
    assert box.level.get().result() == 0.0
    box.close()


def test_a_setting_that_meets_a_closed_port_is_told_and_not_sent_later(server: Server):
    box = Box(steady(server), name="box", address=server.address)
    box.level.set(2.0)
    server.stop()
    with pytest.raises(LinkError):
        box.level.set(3.0)
    assert box.level.cached is None
    server.start()
    assert box.level.get().result() == 2.0
    assert server.received.count("LEV 3") == 0
    box.close()


def test_a_server_that_never_comes_back_is_given_up(server: Server, link: SteadyLink):
    link.query("ECHO? 1")
    server.stop()
    with pytest.raises(LinkError, match=r"lost; 5 attempts.*check cable and power"):
        link.query("ECHO? 2")


def test_another_instrument_behind_the_same_port_is_refused(server: Server, link: SteadyLink):
    link.query("ECHO? 1")
    server.stop()
    server.identity = "LABNB,SOCKET,SN8,1.0"
    server.start()
    with pytest.raises(LinkError, match=r"another instrument.*SN8.*SN7"):
        link.query("ECHO? 2")


def test_an_instrument_without_status_registers_is_proved_by_its_name(server: Server):
    server.speaks_488 = False
    link = steady(server)
    server.misbehave("ECHO", late)
    assert link.query("ECHO? 1") == "1"
    assert link.query("ECHO? 2") == "2"
    server.stop()
    server.start()
    with pytest.raises(SettingsLost, match=r"cannot tell whether it was switched off"):
        link.query("ECHO? 3")
    assert link.query("ECHO? 3") == "3"
    link.close()


@pytest.mark.parametrize("ends", [b"\n", b"\r\n"])
def test_an_answer_must_end_as_the_first_one_did(ends: bytes):
    server = Server(ends=ends)
    link = steady(server)
    assert link.query("ECHO? 1") == "1"
    server.misbehave("ECHO", lambda server, connection, data: connection.sendall(data.replace(b"\r", b"")[:-1]))
    assert link.query("ECHO? 2") == "2"
    if ends == b"\r\n":
        server.misbehave("ECHO", lambda server, connection, data: connection.sendall(b"9\n"))
        assert link.query("ECHO? 3") == "3"
    link.close()
    server.stop()


def test_an_address_where_nothing_listens_says_so(server: Server):
    server.stop()
    with pytest.raises(LinkError, match=r"box \(TCPIP0::127.0.0.1::\d+::SOCKET\).*check cable and power"):
        connect(server.address, visa_library="@py", name="box", timeout_s=TIMEOUT_S)


def test_something_that_never_answers_says_so(server: Server):
    server.identity = "x"
    for _ in range(20):
        server.misbehave("IDN", silence)
    with pytest.raises(LinkTimeout, match=r"box .*no answer to '\*IDN\?' within 0.08 s; is it switched on"):
        connect(server.address, visa_library="@py", name="box", timeout_s=TIMEOUT_S)
