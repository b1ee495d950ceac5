"""Owns the framing of docs/channel.md on one connection; the callers know what the messages mean."""

from __future__ import annotations

import _json  # pyright: ignore[reportMissingImports]
import _socket
import select

from . import rendezvous
from .guard import interruptible

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .messages import Message

KIND_JSON, KIND_OUTPUT, KIND_BLOB = ord("J"), ord("O"), ord("B")
MAX_JSON_BYTES = 33554432
_RECEIVE_BYTES = 65536
"""Less than the size from which malloc maps memory separately, which would cost three system calls each time."""

_DONTWAIT = _socket.MSG_DONTWAIT | _socket.MSG_NOSIGNAL


class _Reading:
    """The attributes that the scanner in C reads from a decoder. The json package would import the re package too."""

    strict = True
    object_hook = None
    object_pairs_hook = None
    parse_float = float
    parse_int = int
    parse_constant = float


def _refuse(value: object) -> object:
    raise TypeError(f"{type(value)} is not JSON")


# The C encoder and scanner themselves, so that user code cannot change them by replacing parts of the json package.
_encode: Any = _json.make_encoder(None, _refuse, _json.encode_basestring_ascii, None, ":", ",", False, False, False)
_reading: Any = _Reading
_scan: Any = _json.make_scanner(_reading)


def to_json(value: object) -> str:
    """Return `value` as ASCII JSON text without spaces; ValueError or TypeError if JSON cannot hold it."""
    return "".join(_encode(value, 0))


def from_json(data: bytes) -> Any:
    """Return the value of ASCII JSON text; ValueError if it is not JSON."""
    try:
        value, _ = _scan(data.decode("ascii").strip(), 0)
    except StopIteration as error:
        raise ValueError("not JSON") from error
    return value


class ConnectionEnded(Exception):
    """The runner closed the connection, or sent an invalid frame."""


class Connection:
    """One process's connection. One thread at a time may read, and one may write."""

    __slots__ = ("_inbox", "_poll_in", "_poll_out", "_recv", "_send", "_socket", "_unsent", "fd")

    def __init__(self, sock: _socket.socket) -> None:
        self._socket = sock
        self.fd: int = sock.fileno()
        self._recv = sock.recv
        self._send = sock.send
        self._inbox = bytearray()
        self._unsent: Any = None
        self._poll_in = select.poll()
        self._poll_in.register(self.fd, select.POLLIN)
        self._poll_out = select.poll()
        self._poll_out.register(self.fd, select.POLLOUT)

    def close(self) -> None:
        """Close this process's descriptor of the connection."""
        self._socket.close()

    def forget(self) -> None:
        """Take note that the descriptor is closed already."""
        self._socket.detach()

    # Sending. A frame that was begun is always finished first, also after an interrupt in the middle of it.

    def send(self, kind: int, payload: bytes) -> None:
        """Send one frame; blocks while the runner does not read."""
        if self._unsent is not None:
            self.finish_sending()
        frame = frame_of(kind, payload)
        try:
            sent = self._send(frame, _DONTWAIT)
        except BlockingIOError:
            sent = 0
        except OSError as error:
            raise ConnectionEnded from error
        if sent != len(frame):
            self._unsent = memoryview(frame)[sent:]
            self.finish_sending()

    def finish_sending(self) -> None:
        """Send the rest of a frame that was begun."""
        while self._unsent is not None:
            try:
                sent = self._send(self._unsent, _DONTWAIT)
            except BlockingIOError:
                self.wait_writable()
                continue
            except OSError as error:
                raise ConnectionEnded from error
            rest = self._unsent[sent:]
            self._unsent = rest if len(rest) else None

    @interruptible
    def wait_writable(self) -> None:
        """Block until the runner reads; signal handlers of user code may raise from here."""
        self._poll_out.poll()

    def send_message(self, message: Message) -> None:
        """Send one JSON message."""
        self.send(KIND_JSON, to_json(message).encode("ascii"))

    # Receiving.

    def has_something(self) -> bool:
        """Say whether a frame, or a part of one, is there to be read."""
        return bool(self._inbox or self._poll_in.poll(0))

    @interruptible
    def wait_readable(self) -> None:
        """Block until there is something to read; signal handlers of user code may raise from here."""
        self._poll_in.poll()

    def take_frame(self) -> tuple[int, bytes] | None:
        """Return the next frame if all of it has arrived, or None."""
        inbox = self._inbox
        if len(inbox) < 5:
            return None
        size = int.from_bytes(inbox[:4], "little")
        if not 1 <= size <= MAX_JSON_BYTES + 1:
            raise ConnectionEnded
        if len(inbox) < 4 + size:
            return None
        kind = inbox[4]
        payload = bytes(inbox[5 : 4 + size])
        del inbox[: 4 + size]
        return kind, payload

    def has_frame(self) -> bool:
        """Say whether a whole frame has arrived."""
        inbox = self._inbox
        return len(inbox) >= 5 and len(inbox) >= 4 + int.from_bytes(inbox[:4], "little")

    def receive_some(self, *, wait: bool) -> None:
        """Read the bytes that have arrived into the inbox."""
        try:
            piece = self._recv(_RECEIVE_BYTES, 0 if wait else _socket.MSG_DONTWAIT)
        except BlockingIOError:
            return
        except OSError as error:
            raise ConnectionEnded from error
        if not piece:
            raise ConnectionEnded
        self._inbox += piece

    def receive(self) -> tuple[int, bytes]:
        """Return the next frame; blocks."""
        while True:
            frame = self.take_frame()
            if frame is not None:
                return frame
            self.receive_some(wait=True)

    def receive_message(self) -> Any:
        """Return the next message, a JSON object whose shape the caller trusts; blocks. Anything else ends the connection."""
        kind, payload = self.receive()
        return parse_message(kind, payload)


def connect(path: str) -> Connection:
    """Return a new connection to the runner, which listens at `path`, or to which the warden connects."""
    if path == rendezvous.CHANNEL:
        return Connection(rendezvous.call())
    sock = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM | _socket.SOCK_CLOEXEC)
    sock.connect(path)
    return Connection(sock)


def frame_of(kind: int, payload: bytes) -> bytes:
    """Return a frame."""
    return (len(payload) + 1).to_bytes(4, "little") + bytes((kind,)) + payload


def parse_message(kind: int, payload: bytes) -> Any:
    """Return the JSON object of a frame."""
    if kind != KIND_JSON:
        raise ConnectionEnded
    try:
        message = from_json(payload)
    except ValueError as error:
        raise ConnectionEnded from error
    if type(message) is not dict:
        raise ConnectionEnded
    return message


def output_message(offset: int, stream: int, text: str) -> Message:
    """Return the message for text that UTF-8 cannot encode."""
    name = "stdout" if stream == 1 else "stderr"
    return {"type": "output", "offset": offset, "stream": name, "data": text}


def output_payload(offset: int, stream: int, data: bytes) -> bytes:
    """Return the payload of an `O` frame."""
    return offset.to_bytes(8, "little") + bytes((stream,)) + data
