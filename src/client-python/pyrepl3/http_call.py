"""Owns REST: a call described as data, and the one function that makes it."""

from __future__ import annotations

import http.client
import json
import socket
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import IO, Any, Callable, Dict, Generic, Iterator, Mapping, Optional, TypeVar, Union

from .address import Address
from .errors import ConnectionLostError, ProtocolError, error_of

T = TypeVar("T")

_PIECE_BYTES = 64 << 10
_DRAIN_BYTES = 1 << 20


@dataclass(frozen=True)
class Answer:
    """What a call got: header names are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        """Return the body as JSON, None where it is empty."""
        if not self.body:
            return None
        try:
            return json.loads(self.body)
        except ValueError as error:
            raise ProtocolError(f"the answer {self.status} is no JSON") from error


@dataclass(frozen=True)
class Call(Generic[T]):
    """One REST call: what to send, and what to make of the answer.

    Attributes:
        path: under the service's base URL.
        query: entries that are None are left out.
        body: JSON, or with `content` the bytes or file to send as they are.
        sink: takes the answer's body piece by piece, in place of memory.
    """

    method: str
    path: str
    parse: Callable[[Answer], T]
    query: Mapping[str, Any] = field(default_factory=dict)
    body: Optional[Mapping[str, Any]] = None
    content: Union[bytes, IO[bytes], None] = None
    headers: Mapping[str, str] = field(default_factory=dict)
    sink: Optional[IO[bytes]] = None


def without_none(fields: Mapping[str, Any]) -> Dict[str, Any]:
    """Return the fields that have a value.

    >>> without_none({"name": None, "session": "default"})
    {'session': 'default'}
    """
    return {name: value for name, value in fields.items() if value is not None}


def _text_of(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


@contextmanager
def open_answer(
    address: Address, call: Call[Any], timeout: float, connected: Optional[Callable[[socket.socket], None]] = None
) -> Iterator[http.client.HTTPResponse]:
    """Make the call and yield its answer, whose body is read by the caller; the connection ends with the block.

    Args:
        address: of the service.
        call: what to send.
        timeout: seconds of silence.
        connected: is given the connection's socket, so that another thread can end it.

    Raises:
        ServiceError: the service answers with a problem.
        ConnectionLostError: it cannot be reached, or is silent for `timeout` seconds.
    """
    query = {name: _text_of(value) for name, value in without_none(call.query).items()}
    trace = address.trace()
    traced = {} if trace is None else {"traceparent": trace}
    headers = {**address.headers(), **traced, "accept": "application/json", **call.headers}
    content: Union[bytes, IO[bytes], None] = call.content
    if call.body is not None:
        content = json.dumps(without_none(call.body)).encode()
        headers["content-type"] = "application/json"
    elif content is None and call.method in ("POST", "PUT"):
        content = b""
    connection: http.client.HTTPConnection
    if address.tls is not None:
        connection = http.client.HTTPSConnection(address.host, address.port, timeout=timeout, context=address.tls)
    else:
        connection = http.client.HTTPConnection(address.host, address.port, timeout=timeout)
    try:
        headers["host"] = address.netloc
        connection.connect()
        if connected is not None and connection.sock is not None:
            connected(connection.sock)
        connection.request(call.method, address.target(call.path, query), body=content, headers=headers)
        response = connection.getresponse()
        if response.status >= 400:
            raise _refusal(response.status, response.read(_DRAIN_BYTES))
        yield response
    except (OSError, http.client.HTTPException) as error:
        raise ConnectionLostError(f"{call.method} {address.url}{call.path}: {error or type(error).__name__}") from error
    finally:
        connection.close()


def make_call(address: Address, call: Call[T], timeout: float) -> T:
    """Make the call and return its parsed answer; raises as `open_answer` does."""
    with open_answer(address, call, timeout) as response:
        headers = {name.lower(): value for name, value in response.getheaders()}
        if call.sink is None:
            return call.parse(Answer(response.status, headers, response.read()))
        while True:
            piece = response.read(_PIECE_BYTES)
            if not piece:
                return call.parse(Answer(response.status, headers, b""))
            call.sink.write(piece)


def _refusal(status: int, body: bytes) -> Exception:
    try:
        problem: Any = json.loads(body)
    except ValueError:
        problem = None
    if isinstance(problem, dict) and "code" in problem:
        return error_of(problem)
    text = body[:200].decode(errors="replace")
    return ProtocolError(f"the answer has status {status} and is no problem of the service: {text}")
