"""What the transport itself does, with nothing of ours: the reasons for what we do about it."""

import asyncio

import grpc


async def _endless(request, context):
    yield b""
    await asyncio.Event().wait()


def _tasks_of_grpc():
    return [task for task in asyncio.all_tasks() if "_AioCall._handle_status_once_received" in repr(task)]


async def test_a_call_that_was_cancelled_and_awaited_leaves_a_task_of_grpcs_for_a_moment():
    """Once this fails, grpc waits for its own, and the waiting in tests/conftest.py can go."""
    server = grpc.aio.server()
    handler = grpc.unary_stream_rpc_method_handler(_endless)
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("bare.Service", {"Call": handler}),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        call = channel.unary_stream("/bare.Service/Call")(b"")
        await call.read()
        call.cancel()
        code, left = await call.code(), _tasks_of_grpc()
    await server.stop(None)
    assert code is grpc.StatusCode.CANCELLED
    assert left
