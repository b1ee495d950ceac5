"""Owns one WebSocket connection (RFC 6455): the handshake, text messages both ways, pings and the closing handshake."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import os
import ssl
from typing import Any, Dict, Mapping, Optional, Tuple

from .errors import ConnectionLostError, ProtocolError, PyREPL3Error, error_of
from .websocket_frames import CLOSE, PING, PONG, TEXT, MessageReader, close_payload, encode_frame, parse_close

_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_STREAM_LIMIT_BYTES = 1 << 20
_MAX_HEAD_BYTES = 64 << 10
_MAX_BODY_BYTES = 1 << 20
MAX_MESSAGE_BYTES = 64 << 20
_CLOSE_SECONDS = 2.0
_ABNORMAL, _PROTOCOL_ERROR, _NOT_TEXT = 1006, 1002, 1003


class WebSocketClosedError(ConnectionLostError):
    """The socket is closed; `code` is 1006 where no closing handshake took place."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(f"the socket was closed: {code} {reason}".rstrip())
        self.code = code
        self.reason = reason


class UpgradeRefusedError(ProtocolError):
    """The server answered the upgrade with something else than a WebSocket."""

    def __init__(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        super().__init__(f"the WebSocket was refused with status {status}: {body[:200].decode(errors='replace')}")
        self.status = status
        self.headers = headers
        self.body = body


class WebSocket:
    """An open socket; `WebSocket.connect` makes one. One task reads, any number of tasks send."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, max_message_bytes: int) -> None:
        self._messages = MessageReader(reader, max_message_bytes)
        self._reader = reader
        self._writer = writer
        self._drain_lock = asyncio.Lock()
        self._has_sent_close = False
        self.received_count = 0

    @classmethod
    async def connect(
        cls,
        host: str,
        port: int,
        target: str,
        headers: Mapping[str, str],
        *,
        tls: Optional[ssl.SSLContext] = None,
        timeout: float = 10.0,
        max_message_bytes: int = MAX_MESSAGE_BYTES,
    ) -> WebSocket:
        """Open a socket.

        Args:
            host: name or IP address.
            port: TCP port.
            target: path and query.
            headers: all but those of the handshake itself; `host` among them.
            tls: TLS settings; None is no TLS.
            timeout: seconds for connection, TLS and handshake together.
            max_message_bytes: a longer message closes the socket.

        Raises:
            ConnectionLostError: the server cannot be reached, or not in time.
            UpgradeRefusedError: it answers, but with no WebSocket.
            ProtocolError: its handshake is wrong.
        """
        try:
            return await asyncio.wait_for(cls._open(host, port, target, headers, tls, max_message_bytes), timeout)
        except asyncio.TimeoutError as error:
            raise ConnectionLostError(f"{host}:{port} did not open a WebSocket within {timeout} s") from error
        except (OSError, EOFError) as error:
            raise ConnectionLostError(f"{host}:{port} cannot be reached: {error}") from error

    @classmethod
    async def _open(
        cls,
        host: str,
        port: int,
        target: str,
        headers: Mapping[str, str],
        tls: Optional[ssl.SSLContext],
        max_message_bytes: int,
    ) -> WebSocket:
        reader, writer = await asyncio.open_connection(host, port, ssl=tls, limit=_STREAM_LIMIT_BYTES)
        try:
            key = base64.b64encode(os.urandom(16))
            all_headers = {
                **headers,
                "connection": "Upgrade",
                "upgrade": "websocket",
                "sec-websocket-version": "13",
                "sec-websocket-key": key.decode(),
            }
            for name, value in all_headers.items():
                if any(character in f"{name}{value}" for character in "\r\n"):
                    raise ValueError(f"the header {name} has a line break")
            lines = [f"GET {target} HTTP/1.1", *(f"{name}: {value}" for name, value in all_headers.items()), "", ""]
            writer.write("\r\n".join(lines).encode("latin-1"))
            await writer.drain()
            await _finish_handshake(reader, key)
        except BaseException:
            writer.close()
            raise
        return cls(reader, writer, max_message_bytes)

    async def receive(self) -> str:
        """Return the next text message; pings are answered on the way.

        Raises:
            WebSocketClosedError: the socket is closed, with or without a closing handshake.
            ProtocolError: the server breaks the rules; the socket is closed for it.
        """
        try:
            while True:
                message = await self._messages.read()
                self.received_count += 1
                if message.opcode == TEXT:
                    return message.payload.decode()
                if message.opcode == PING:
                    await self._send(PONG, message.payload)
                elif message.opcode == CLOSE:
                    code, reason = parse_close(message.payload)
                    await self._answer_close(message.payload[:2])
                    raise WebSocketClosedError(code, reason)
                elif message.opcode != PONG:
                    await self._fail(_NOT_TEXT, "only text is expected")
                    raise ProtocolError("the server sent a binary message")
        except (asyncio.IncompleteReadError, OSError) as error:
            self.abort()
            raise WebSocketClosedError(_ABNORMAL, str(error)) from error
        except UnicodeDecodeError as error:
            await self._fail(1007, "not UTF-8")
            raise ProtocolError("a text message is not UTF-8") from error
        except ProtocolError as error:
            await self._fail(_PROTOCOL_ERROR, str(error))
            raise

    async def send(self, text: str) -> None:
        """Send a text message; it waits while the connection takes no more.

        Raises:
            WebSocketClosedError: the socket is closed.
        """
        await self._send(TEXT, text.encode())

    def send_soon(self, text: str) -> None:
        """Send a short text message without waiting; a socket that is closed drops it."""
        if not self._has_sent_close and not self._writer.transport.is_closing():
            self._writer.write(encode_frame(TEXT, text.encode()))

    async def ping(self) -> None:
        """Ask for a sign of life: `received_count` grows when it comes."""
        await self._send(PING, b"")

    async def close(self, code: int = 1000, reason: str = "") -> None:
        """Close with a handshake, which gets two seconds. No other task may be reading."""
        try:
            if not self._has_sent_close:
                self._has_sent_close = True
                self._writer.write(encode_frame(CLOSE, close_payload(code, reason)))
                await asyncio.wait_for(self._read_until_close(), _CLOSE_SECONDS)
        except (asyncio.TimeoutError, ConnectionLostError, ProtocolError, OSError, EOFError):
            pass  # The connection is dropped all the same.
        finally:
            self.abort()

    def abort(self) -> None:
        """Drop the connection at once."""
        self._has_sent_close = True
        self._writer.transport.abort()

    async def _read_until_close(self) -> None:
        while (await self._messages.read()).opcode != CLOSE:
            pass

    async def _answer_close(self, payload: bytes) -> None:
        if not self._has_sent_close:
            self._has_sent_close = True
            self._writer.write(encode_frame(CLOSE, payload))
        self._writer.close()

    async def _fail(self, code: int, reason: str) -> None:
        if not self._has_sent_close:
            self._has_sent_close = True
            self._writer.write(encode_frame(CLOSE, close_payload(code, reason)))
        self._writer.close()

    async def _send(self, opcode: int, payload: bytes) -> None:
        if self._has_sent_close or self._writer.transport.is_closing():
            raise WebSocketClosedError(_ABNORMAL, "it is closing")
        self._writer.write(encode_frame(opcode, payload))
        try:
            async with self._drain_lock:
                await self._writer.drain()
        except OSError as error:
            raise WebSocketClosedError(_ABNORMAL, str(error)) from error


async def _finish_handshake(reader: asyncio.StreamReader, key: bytes) -> None:
    status, headers = await _read_head(reader)
    if status != 101:
        raise UpgradeRefusedError(status, headers, await _read_body(reader, headers))
    accept = base64.b64encode(hashlib.sha1(key + _GUID).digest()).decode()
    if headers.get("sec-websocket-accept") != accept:
        raise ProtocolError("the server did not accept this handshake's key")
    if headers.get("upgrade", "").lower() != "websocket" or "upgrade" not in headers.get("connection", "").lower():
        raise ProtocolError("the server did not switch to WebSocket")
    if headers.get("sec-websocket-extensions") or headers.get("sec-websocket-protocol"):
        raise ProtocolError("the server chose an extension or subprotocol that was not offered")


async def _read_head(reader: asyncio.StreamReader) -> Tuple[int, Dict[str, str]]:
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.LimitOverrunError as error:
        raise ProtocolError("the head of the answer is too long") from error
    lines = head[:_MAX_HEAD_BYTES].decode("latin-1").split("\r\n")
    words = lines[0].split(" ", 2)
    if len(words) < 2 or not words[0].startswith("HTTP/1.") or not words[1].isdigit():
        raise ProtocolError("the server does not speak HTTP")
    headers: Dict[str, str] = {}
    for line in filter(None, lines[1:]):
        name, _, value = line.partition(":")
        headers[name.strip().lower()] = value.strip()
    return int(words[1]), headers


async def _read_body(reader: asyncio.StreamReader, headers: Mapping[str, str]) -> bytes:
    """Read the body of a refusal, as far as it has a length."""
    length = headers.get("content-length", "")
    if not length.isdigit():
        if headers.get("transfer-encoding", "").lower() != "chunked":
            return b""
        return await _read_chunks(reader)
    return await reader.readexactly(min(int(length), _MAX_BODY_BYTES))


async def _read_chunks(reader: asyncio.StreamReader) -> bytes:
    body = b""
    while len(body) < _MAX_BODY_BYTES:
        size = int((await reader.readline()).split(b";")[0] or b"0", 16)
        if size == 0:
            break
        body += (await reader.readexactly(min(size, _MAX_BODY_BYTES) + 2))[:-2]
    return body


def problem_of(error: UpgradeRefusedError) -> PyREPL3Error:
    """Return the service's problem, or the refusal itself where something between answered."""
    try:
        problem: Any = json.loads(error.body)
    except ValueError:
        return error
    return error_of(problem) if isinstance(problem, dict) and "code" in problem else error
