"""Owns the framing of docs/channel.md on one connection; what the messages mean is left to the callers."""

from __future__ import annotations

import _json  # pyright: ignore[reportMissingImports]
import _socket
import select

from .guard import interruptible

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, TypeAlias

KIND_JSON, KIND_OUTPUT, KIND_BLOB = ord("J"), ord("O"), ord("B")
MAX_JSON_BYTES = 33554432
_RECEIVE_BYTES = 65536
"""Below malloc's threshold for mapping memory of its own, which would cost three system calls each time."""

Message: TypeAlias = "dict[str, Any]"

_DONTWAIT = _socket.MSG_DONTWAIT | _socket.MSG_NOSIGNAL


class _Reading:
    """What the scanner in C asks of a decoder. The json package itself would bring the re package along."""

    strict = True
    object_hook = None
    object_pairs_hook = None
    parse_float = float
    parse_int = int
    parse_constant = float


def _refuse(value: object) -> object:
    raise TypeError(f"{type(value)} is not JSON")


# The C encoder and scanner themselves: what user code replaces in the json package does not reach them.
_encode: Any = _json.make_encoder(None, _refuse, _json.encode_basestring_ascii, None, ":", ",", False, False, False)
_reading: Any = _Reading
_scan: Any = _json.make_scanner(_reading)


def to_json(value: object) -> str:
    """Return `value` as ASCII JSON text without spaces; ValueError or TypeError where it is not JSON."""
    return "".join(_encode(value, 0))


def from_json(data: bytes) -> Any:
    """Return the value of ASCII JSON text; ValueError where it is not."""
    try:
        value, _ = _scan(data.decode("ascii").strip(), 0)
    except StopIteration as error:
        raise ValueError("not JSON") from error
    return value


class ConnectionEnded(Exception):
    """The runner is gone, or sent what no runner sends."""


class Connection:
    """One process's connection. Reading and writing are each for one thread at a time."""

    __slots__ = ("_inbox", "_poll_in", "_poll_out", "_recv", "_send", "_socket", "_unsent", "fd")

    def __init__(self, path: str) -> None:
        sock = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM | _socket.SOCK_CLOEXEC)
        sock.connect(path)
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

    # Sending. A frame begun is always finished first, also after an interrupt in the middle of it.

    def send(self, kind: int, payload: bytes) -> None:
        """Send one frame; blocks while the runner does not read."""
        if self._unsent is not None:
            self.finish_sending()
        frame = (len(payload) + 1).to_bytes(4, "little") + bytes((kind,)) + payload
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
        """Send what is left of a frame that was begun."""
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

    @interruptible
    def wait_readable(self) -> None:
        """Block until there is something to read; signal handlers of user code may raise from here."""
        self._poll_in.poll()

    def take_frame(self) -> tuple[int, bytes] | None:
        """Return a frame that has arrived whole, or None."""
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
        """Read what has arrived into the inbox."""
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

    def receive_message(self) -> Message:
        """Return the next message; blocks. Anything but a JSON object ends the connection."""
        kind, payload = self.receive()
        return parse_message(kind, payload)


def parse_message(kind: int, payload: bytes) -> Message:
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
