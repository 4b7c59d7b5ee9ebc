"""A gateway: one process holds instruments, and every kernel's drivers reach them at sockets of this machine.

    driver in kernel 1 ── TCPIP0::127.0.0.1::40001::SOCKET ──┐
                                                             ├── one thread ── USB0::0x2A8D::...::INSTR
    driver in kernel 2 ── TCPIP0::127.0.0.1::40001::SOCKET ──┘

A question and its answer belong together: nothing comes between them. Clients take turns, message by message. What
takes several messages (select a trace, then read it) needs a reservation beside it; so does the error queue, of which
an instrument has one for all.
"""

import asyncio
import logging
import socket
from collections.abc import AsyncGenerator, Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial

from labnb.core import LinkError, LinkTimeout
from labnb.sharing.gateway_messages import Message, Messages
from labnb.sharing.gateway_outlets import Outlet, announced
from labnb.sharing.gateway_port import VisaPort

HOST = "127.0.0.1"
_CHUNK = 2**16
_QUICK_ACK = getattr(socket, "TCP_QUICKACK", None)

_log = logging.getLogger(__name__)

SafeState = Callable[[str], Sequence[str]]
"""Says which commands bring an instrument of this identity into its safe state."""


@asynccontextmanager
async def gateway(
    resources: str | Iterable[str | tuple[str, str]],
    *,
    visa_library: str = "",
    port: int = 0,
    timeout_s: float = 10.0,
    safe_state: SafeState | None = None,
) -> AsyncGenerator[tuple[Outlet, ...]]:
    """Hold VISA resources while the block runs, and let every kernel of this machine use them; yield where.

    A resource is an address of `visa_library`, or an address with a library of its own. The first is served at `port` of 127.0.0.1, the next at the port after it, and so on; 0: at any that are free.
    `timeout_s` is how long an answer is waited for. At the end the exchange that is under way is finished, the commands of
    `safe_state` are sent, and the resources are closed. Raises LinkError for a resource that cannot be opened, and for a
    port that is taken.
    """
    wanted = [resources] if isinstance(resources, str) else resources
    several = dict.fromkeys((each, visa_library) if isinstance(each, str) else each for each in wanted)
    async with AsyncExitStack() as stack:
        outlets = [
            await stack.enter_async_context(
                _served(address, library, port + place if port else 0, timeout_s, safe_state or _nothing)
            )
            for place, (address, library) in enumerate(several)
        ]
        yield tuple(outlets)


@asynccontextmanager
async def _served(
    address: str, library: str, port: int, timeout_s: float, safe_state: SafeState
) -> AsyncGenerator[Outlet]:
    loop = asyncio.get_running_loop()
    with ThreadPoolExecutor(1, f"labnb gateway {address}") as worker:
        visa = await loop.run_in_executor(worker, partial(VisaPort, address, library, timeout_s=timeout_s))
        counter = _Counter(visa, worker)
        try:
            server = await _listening(counter, port, address)
            try:
                outlet = Outlet(address, library, server.sockets[0].getsockname()[1], visa.identity)
                with announced(outlet):
                    yield outlet
            finally:
                server.close()
                await counter.end_clients()
        finally:
            await loop.run_in_executor(worker, _leave, visa, safe_state)


async def _listening(counter: "_Counter", port: int, address: str) -> asyncio.Server:
    try:
        return await asyncio.start_server(counter.serve, HOST, port)
    except OSError as error:
        raise LinkError(
            f"{address}: {HOST}:{port} cannot be listened at ({error.strerror}); choose another port"
        ) from error


def _leave(visa: VisaPort, safe_state: SafeState) -> None:
    try:
        visa.send(safe_state(visa.identity))
    except LinkError as error:
        raise LinkError(f"{visa.address} may still be ON: {error}; switch it off by hand") from error
    finally:
        visa.close()


def _nothing(_identity: str) -> Sequence[str]:
    return ()


class _Counter:
    """Where the clients of one instrument queue: each has one message in the queue at most, so none waits for ever."""

    def __init__(self, visa: VisaPort, worker: ThreadPoolExecutor) -> None:
        self._visa, self._worker = visa, worker
        self._clients: dict[asyncio.Task[None], asyncio.StreamWriter] = {}
        self._ended = False

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one client until it leaves."""
        if self._ended:  # it came as we left
            writer.transport.abort()
            return
        task = asyncio.current_task()
        assert task is not None
        self._clients[task] = writer
        try:
            await self._converse(reader, writer)
        except LinkError as error:
            self._tell(error)
        except ConnectionError:
            pass  # it is gone: what it had asked for was answered to nobody
        finally:
            del self._clients[task]
            writer.close()

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        messages = Messages()
        _promptly(writer)
        while data := await reader.read(_CHUNK):
            _promptly(writer)
            for message in messages.feed(data):
                if self._ended:
                    return
                answer = await self._turn(message)
                if answer:
                    writer.write(answer)
                    await writer.drain()

    async def _turn(self, message: Message) -> bytes:
        """Return the answer to a message, in its turn; whoever stops waiting leaves the exchange whole."""
        try:
            return await asyncio.get_running_loop().run_in_executor(self._worker, self._visa.exchange, message)
        except LinkTimeout as error:
            self._tell(error)  # the client's own timeout tells it
            return b""
        except LinkError:
            for writer in self._clients.values():  # nobody may go on as if nothing had happened
                writer.transport.abort()
            raise

    def _tell(self, error: LinkError) -> None:
        _log.warning("%s", error)

    async def end_clients(self) -> None:
        """End all conversations; an exchange that is under way is finished, what comes behind it is dropped."""
        self._ended = True
        for writer in self._clients.values():
            writer.transport.abort()
        await asyncio.gather(*self._clients, return_exceptions=True)


def _promptly(writer: asyncio.StreamWriter) -> None:
    """Send answers at once, and acknowledge at once: a client with Nagle's algorithm on waits for it, 40 ms each time."""
    connection = writer.get_extra_info("socket")
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if _QUICK_ACK is not None:
        connection.setsockopt(socket.IPPROTO_TCP, _QUICK_ACK, 1)
