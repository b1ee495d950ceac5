"""Owns the output that a live process had written and not sent when it died: the keeper sends it."""

from __future__ import annotations

from .ring import CAPACITY
from .wire import KIND_OUTPUT, output_message, output_payload

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .pipes import Pipes
    from .ring import Ring
    from .wire import Connection

_REMAINDER_BYTES = 1 << 20


def send_leftover_output(connection: Connection, ring: Ring, pipes: Pipes) -> None:
    """Send the output that the dead live process had written and not sent."""
    rest = ring.unsent()
    if rest is None:
        return
    offset, stream, data = rest
    offset = _send(connection, offset, stream, data)
    for pipe_stream, rest_of_pipe in empty_pipes(pipes):
        offset = _send(connection, offset, pipe_stream, rest_of_pipe)


def empty_pipes(pipes: Pipes) -> list[tuple[int, bytes]]:
    """Take all bytes from each pipe; returns them with the number of their stream."""
    taken: list[tuple[int, bytes]] = []
    for reading, stream in pipes.ends:
        data = b""
        while len(data) < _REMAINDER_BYTES:
            piece = pipes.read(reading)
            if not piece:
                break
            data += piece
        taken.append((stream, data))
    return taken


def _send(connection: Connection, offset: int, stream: int, data: bytes) -> int:
    """Send bytes as text; returns the offset behind them."""
    if not data:
        return offset
    text, is_plain = _decode(data)
    for start in range(0, len(text), CAPACITY // 4):
        piece = text[start : start + CAPACITY // 4]
        encoded = piece.encode("utf-8", "surrogatepass")
        if is_plain:
            connection.send(KIND_OUTPUT, output_payload(offset, stream, encoded))
        else:
            connection.send_message(output_message(offset, stream, piece))
        offset += len(encoded)
    return offset


def _decode(data: bytes) -> tuple[str, bool]:
    """Return the text of output bytes, and whether UTF-8 can encode it."""
    try:
        return data.decode("utf-8"), True
    except UnicodeDecodeError:
        pass
    try:
        return data.decode("utf-8", "surrogatepass"), False
    except UnicodeDecodeError:
        return data.decode("utf-8", "surrogateescape"), False
