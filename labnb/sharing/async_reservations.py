"""The same as `reservations`, for event loops."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing, suppress
from typing import Self

from labnb.core import ReservationLost
from labnb.sharing.calls import Call, procedures, translated
from labnb.sharing.holding import OwnReservation, Standing
from labnb.sharing.messages import SHARING_SERVICE, Message, sharing_messages
from labnb.sharing.reservations import CHANNEL_OPTIONS, PATIENCE_S, Resources, force_request, names_of, reserve_request
from labnb.sharing.situation import Situation, Wait, situation_from, wait_from
from labnb.sharing.table import Mode
from labnb.sharing.transport import grpc


class AsyncHeld(OwnReservation):
    """A reservation of this process: it lasts until `release`, the end of an `async with` block, or the process's end."""

    def __init__(self, client: "AsyncReservationClient", standing: Standing) -> None:
        super().__init__(standing)
        self._client = client
        self._staying: asyncio.Task[None] | None = None

    async def release(self) -> None:
        """Give it back; a second time does nothing. Raises ReservationLost if it was taken away before."""
        if self.is_lost:
            self._standing.check()
        if self._standing.release():
            try:
                await self._client._give_back(self)  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]  one class in two
            finally:
                await self._leave()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None and issubclass(kind, ReservationLost):
            with suppress(ReservationLost):  # it is being told already
                await self.release()
        else:
            await self.release()

    async def _leave(self) -> None:
        if self._staying is not None:
            self._staying.cancel()
            await asyncio.wait([self._staying])

    async def _stay(self, call: Call) -> None:
        """Follow what the service tells of it; ask again where the service went away, since it remembers."""
        while True:
            try:
                while await call.read() is not grpc.aio.EOF:
                    pass
            except grpc.aio.AioRpcError as error:
                if not self._standing.ended(error):
                    return
            else:
                return
            call = self._client._keep_alive(self.token)  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]


class AsyncReservationClient:
    """Asks the service at `address`, e.g. what `start_service()` returned. `note` is shown to others."""

    def __init__(self, address: str, *, note: str = "") -> None:
        self.address = address
        self._note = note
        self._channel = grpc.aio.insecure_channel(address, options=CHANNEL_OPTIONS)
        self._procedures = procedures(self._channel, SHARING_SERVICE)
        self._held: list[AsyncHeld] = []

    async def reserve(
        self,
        resources: Resources,
        *,
        timeout: float | None = 0.0,  # noqa: ASYNC109  the service waits, not we
        mode: Mode = "exclusive",
        on_wait: Callable[[Wait], object] | None = None,
    ) -> AsyncHeld:
        """Reserve instruments, all or none; as `ReservationClient.reserve`. A cancelled caller leaves the queue."""
        request = reserve_request(resources, timeout, mode, self._note)
        call = self._procedures["Reserve"](request)
        try:
            return await self._take_up(Standing(await _token(call, on_wait), names_of(request)))
        finally:
            await _end(call)  # by now it is either kept alive or given up

    async def situation(self) -> Situation:
        """Return who has what, and who waits, now."""
        async with aclosing(self.watch()) as situations:
            return await anext(situations)

    async def watch(self) -> AsyncGenerator[Situation]:
        """Yield who has what, and who waits: now and after every change."""
        call = self._procedures["Watch"](sharing_messages.WatchRequest())
        try:
            while (message := await _next(call)) is not None:
                yield situation_from(message)
        finally:
            await _end(call)

    async def force_release(self, token: str, reason: str = "") -> None:
        """Take away the reservation `token`; its holder gets ReservationLost. Raises ReservationLost if it is no more."""
        await self._call("ForceRelease", force_request(token, reason))

    async def close(self) -> None:
        """Give back what is still held, and end the connection."""
        for held in [*self._held]:
            with suppress(ReservationLost):
                await held.release()
        await self._channel.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def _take_up(self, standing: Standing) -> AsyncHeld:
        call = self._keep_alive(standing.token)
        try:
            await call.initial_metadata()  # from now on the service knows that we have it
        except BaseException:  # cancelled between the service's word and ours: nobody else would give it back
            await _end(call)
            with suppress(ReservationLost):
                await self._call("Release", sharing_messages.ReleaseRequest(token=standing.token))
            raise
        held = AsyncHeld(self, standing)
        held._staying = asyncio.create_task(held._stay(call))  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
        self._held.append(held)
        return held

    def _keep_alive(self, token: str) -> Call:
        return self._procedures["KeepAlive"](sharing_messages.KeepAliveRequest(token=token), wait_for_ready=True)

    async def _give_back(self, held: AsyncHeld) -> None:
        self._held.remove(held)
        await self._call("Release", sharing_messages.ReleaseRequest(token=held.token))

    async def _call(self, name: str, request: Message) -> None:
        try:
            await self._procedures[name](request, wait_for_ready=True, timeout=PATIENCE_S)
        except grpc.RpcError as error:
            raise translated(error) from error


async def _end(call: Call) -> None:
    """Cancel a call, and wait until it has ended here."""
    call.cancel()
    await call.code()


async def _next(call: Call) -> Message | None:
    """Return the next message, None after the last. An `async for` that is left early would leave tasks of grpc's."""
    try:
        message = await call.read()
    except grpc.RpcError as error:
        raise translated(error) from error
    return None if message is grpc.aio.EOF else message


async def _token(call: Call, on_wait: Callable[[Wait], object] | None) -> str:
    while (update := await _next(call)) is not None:
        if update.token:
            return update.token
        if on_wait is not None:
            on_wait(wait_from(update))
    raise ReservationLost("the reservation service ended the call without an answer; try again")
