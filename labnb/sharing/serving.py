"""The service on its port: one gRPC server on the loopback address, all procedures on one event loop.

A pool of threads would deadlock as soon as those who wait fill it. The protocol knows no passwords: it is offered to
this machine only.
"""

import asyncio
import re
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager, nullcontext
from pathlib import Path
from typing import Any

from labnb.core import LabnbError, PinMapError, ReservationError, ReservationLost, Reserved
from labnb.sharing.calls import ERROR_KEY
from labnb.sharing.desk import Desk
from labnb.sharing.discovery_service import AmbiguousService, DiscoveryService, NoSuchService
from labnb.sharing.journal import Journal
from labnb.sharing.messages import (
    DISCOVERY_SERVICE,
    METHODS,
    PIN_MAP_SERVICE,
    SESSION_SERVICE,
    SHARING_SERVICE,
    Message,
    Method,
)
from labnb.sharing.peers import Peers
from labnb.sharing.pin_map_service import PinMapService, SiteNotFound
from labnb.sharing.quiet import Quiet
from labnb.sharing.registry import AlreadyRegistered, NotRegistered
from labnb.sharing.session_service import InvalidRequest, SessionService
from labnb.sharing.sharing_service import SharingService, Taken
from labnb.sharing.transport import grpc

HOST = "127.0.0.1"
_LONGEST_MESSAGE = 16 * 1024**2
_OPTIONS = [
    ("grpc.so_reuseport", 0),  # a second service at the same port is a mistake
    ("grpc.max_receive_message_length", _LONGEST_MESSAGE),
    ("grpc.keepalive_time_ms", 10_000),  # a distant holder that fell silent is noticed
    ("grpc.keepalive_timeout_ms", 5_000),
    ("grpc.http2.max_pings_without_data", 0),
]
_CODES: tuple[tuple[type[LabnbError], grpc.StatusCode], ...] = (
    (SiteNotFound, grpc.StatusCode.NOT_FOUND),
    (NotRegistered, grpc.StatusCode.NOT_FOUND),
    (NoSuchService, grpc.StatusCode.NOT_FOUND),
    (PinMapError, grpc.StatusCode.INVALID_ARGUMENT),
    (InvalidRequest, grpc.StatusCode.INVALID_ARGUMENT),
    (AlreadyRegistered, grpc.StatusCode.ALREADY_EXISTS),
    (AmbiguousService, grpc.StatusCode.FAILED_PRECONDITION),
    (Reserved, grpc.StatusCode.UNAVAILABLE),
    (Taken, grpc.StatusCode.ABORTED),
    (ReservationLost, grpc.StatusCode.RESOURCE_EXHAUSTED),
)

Context = Any  # grpc.aio's servicer context: generic in types that are made at run time here


@asynccontextmanager
async def serving(port: int = 0, journal: Path | None = None, quiet: Quiet | None = None) -> AsyncGenerator[int]:
    """Serve reservations at 127.0.0.1 while the block runs; yield the port (`port`, or a free one for 0).

    `journal` is the file that keeps them over a restart; what was reserved stays so when the service ends. `quiet` is
    told of every call. Raises ReservationError if the port or the journal is in use.
    """
    kept = Journal(journal) if journal is not None else None
    try:
        desk, peers, discovery = Desk(kept), Peers(), DiscoveryService()
        server = grpc.aio.server(options=_OPTIONS)
        services = {
            SESSION_SERVICE: SessionService(desk, peers),
            PIN_MAP_SERVICE: PinMapService(desk),
            DISCOVERY_SERVICE: discovery,
            SHARING_SERVICE: SharingService(desk, peers),
        }
        for name, service in services.items():
            procedures = {method.name: _procedure(service, method, quiet) for method in METHODS[name]}
            server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(name, procedures),))
        peers.own_port = _bind(server, port)
        discovery.announce(peers.own_port)
        await server.start()
        watching = [asyncio.create_task(desk.watch_leases())]
        if quiet is not None:
            watching.append(asyncio.create_task(quiet.watch(lambda: bool(desk.table.holds))))
        try:
            yield peers.own_port
        finally:
            await server.stop(None)
            for each in watching:
                each.cancel()
            await asyncio.wait(watching)
    finally:
        if kept is not None:
            kept.close()


def _bind(server: Any, port: int) -> int:  # Any: grpc.aio.Server is generic in nothing, its stubs are partial
    try:
        return server.add_insecure_port(f"{HOST}:{port}")
    except RuntimeError as error:
        raise ReservationError(
            f"{HOST}:{port} cannot be listened at; end the program that does, or choose another port"
        ) from error


def _procedure(
    service: object, method: Method, quiet: Quiet | None
) -> "grpc.RpcMethodHandler[Any, Any]":  # Any: types of run time
    run = getattr(service, re.sub(r"(?<=[a-z])(?=[A-Z])", "_", method.name).lower())
    made = grpc.unary_stream_rpc_method_handler if method.streams else grpc.unary_unary_rpc_method_handler
    return made(
        _counted((_streamed if method.streams else _answered)(run), quiet),
        request_deserializer=method.takes.FromString,
        response_serializer=method.returns.SerializeToString,
    )


def _counted(call: Callable[[Message, Context], Any], quiet: Quiet | None) -> Callable[[Message, Context], Any]:
    async def counted(request: Message, context: Context) -> Message | None:
        if quiet is not None and quiet.has_come:
            await context.abort(grpc.StatusCode.UNAVAILABLE, "the service is ending, since nobody needed it")
        with quiet.call() if quiet is not None else nullcontext():
            return await call(request, context)

    return counted


def _answered(run: Callable[[Message, str], Any]) -> Callable[[Message, Context], Any]:
    async def call(request: Message, context: Context) -> Message:
        try:
            return await run(request, context.peer())
        except LabnbError as error:
            await _abort(context, error)

    return call


def _streamed(run: Callable[[Message, str], Any]) -> Callable[[Message, Context], Any]:
    async def call(request: Message, context: Context) -> None:
        answers = run(request, context.peer())
        try:
            async for answer in answers:
                if answer is None:  # it has begun, and nothing is to be told yet
                    await context.send_initial_metadata(())
                else:
                    await context.write(answer)
        except LabnbError as error:
            await _abort(context, error)
        finally:
            await answers.aclose()

    return call


async def _abort(context: Context, error: LabnbError) -> None:
    """Answer with a status that any client knows, and with our name of the error for our own."""
    code = next((code for kind, code in _CODES if isinstance(error, kind)), grpc.StatusCode.INTERNAL)
    kind = next(each.__name__ for each in type(error).__mro__ if each.__module__ == LabnbError.__module__)
    await context.abort(code, str(error), ((ERROR_KEY, kind),))
