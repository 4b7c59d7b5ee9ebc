"""How a session's server is asked: one request, one answer, or its stream; in plain blocking calls, standard library."""

import json
from collections.abc import Iterator
from contextlib import closing
from http.client import HTTPConnection, HTTPException, HTTPResponse
from typing import cast

from labnb.core import Json, LifecycleError, RemoteError
from labnb.remote.address import Address
from labnb.remote.here import would_wait_for_itself

_LOOPBACK = ("localhost", "127.0.0.1", "::1")


def ask(address: Address, path: str, question: Json = None, *, timeout_s: float = 30.0) -> Json:
    """Return the answer to a request; a `question` is sent along as JSON. Raises RemoteError, LifecycleError."""
    _refuse_deadlock(address)
    with closing(HTTPConnection(address.host, address.port, timeout=timeout_s)) as connection:
        body = None if question is None else json.dumps(question)
        try:
            return cast(Json, json.loads(_answer(connection, address, path, body).read()))
        except (OSError, HTTPException) as error:
            raise _unreachable(address, error) from error
        except ValueError as error:
            raise RemoteError(f"{address.url} does not speak as a session does: {path} gave no JSON") from error


def events(address: Address, path: str, *, timeout_s: float = 30.0) -> Iterator[tuple[str, Json]]:
    """Yield (kind, data) of each event until the server ends the stream. Raises RemoteError, LifecycleError."""
    _refuse_deadlock(address)
    with closing(HTTPConnection(address.host, address.port, timeout=timeout_s)) as connection:
        try:
            kind = ""
            for line in _answer(connection, address, path, None):
                word, _, rest = line.decode().strip().partition(": ")
                if word == "event":
                    kind = rest
                elif word == "data":
                    yield kind, cast(Json, json.loads(rest))
        except (OSError, HTTPException) as error:
            raise _unreachable(address, error) from error
        except ValueError as error:
            raise RemoteError(f"{address.url} does not speak as a session does: its stream has no JSON") from error


def _answer(connection: HTTPConnection, address: Address, path: str, body: str | None) -> HTTPResponse:
    headers = {"Content-Type": "application/json"}
    if address.token:
        headers["Authorization"] = f"Bearer {address.token}"
    connection.request("GET" if body is None else "POST", path, body, headers)
    answer = connection.getresponse()
    if answer.status == 200:
        return answer
    if answer.status == 401:
        raise RemoteError(
            f"{address.url} asks for {'another' if address.token else 'a'} token; it was printed where the session was "
            "started: give token='...', or the whole address with ?token=..."
        )
    raise RemoteError(f"{address.url}{path.partition('?')[0]} refuses with status {answer.status}: {_reason(answer)}")


def _reason(answer: HTTPResponse) -> str:
    text = answer.read(2000).decode(errors="replace").strip()
    try:
        return str(json.loads(text)["error"])
    except (ValueError, KeyError, TypeError):
        return text or answer.reason


def _unreachable(address: Address, error: Exception) -> RemoteError:
    if isinstance(error, RemoteError):
        return error
    why = (error.strerror if isinstance(error, OSError) else None) or str(error) or type(error).__name__
    return RemoteError(
        f"{address.url} does not answer: {why}; is the session being monitored, on this port, and for other computers "
        "(host='0.0.0.0')?"
    )


def _refuse_deadlock(address: Address) -> None:
    if address.host in _LOOPBACK and would_wait_for_itself(address.port):
        raise LifecycleError(
            f"{address.url} is served by the very loop that this call would block, so it would wait for itself; "
            "call it in a thread: `await asyncio.to_thread(observer.start_recording)`"
        )
