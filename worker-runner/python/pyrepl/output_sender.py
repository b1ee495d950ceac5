"""Owns sending output: the text in the ring, the bytes in the pipes, and the frames that carry both to the runner."""

from __future__ import annotations

import time

from .ring import BEGIN_WORD, CAPACITY, END_WORD, STREAM_WORD
from .wire import KIND_JSON, KIND_OUTPUT, output_message, output_payload, to_json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .pipes import PipeReader
    from .ring import Ring
    from .wire import Connection

LARGE_CHARS = CAPACITY // 4
"""Text up to this length fits into the ring, whatever its characters are: UTF-8 has at most four bytes for each."""

_monotonic = time.monotonic
_encode_utf8 = str.encode


class OutputSender:
    """The ring's content and its way into the connection. Every method runs under the lock of `Output`."""

    def _start_sending(self, ring: Ring, connection: Connection, reader: PipeReader) -> None:
        """Begin anew with an empty ring."""
        self.connection = connection
        self.reader = reader
        self._waiting = reader.waiting
        self._words = ring.words
        self._data = ring.data
        self._used = 0
        self._base = 0
        self._stream = 1
        # Bytes of the ring that are in a frame which has been begun.
        self._in_flight = 0
        self._sent_at = 0.0

    def _flush_all(self) -> None:
        if self._waiting(0, 1):
            self._take_pipes()
        self._flush()

    def _flush(self) -> None:
        """Send the ring's content; `begin` moves when it is in the socket."""
        self._finish_sending()
        used = self._used
        if used:
            payload = output_payload(self._base, self._stream, bytes(self._data[:used]))
            self._in_flight = used
            self.connection.send(KIND_OUTPUT, payload)
            self._finish_sending()
            self._sent_at = _monotonic()

    def _finish_sending(self) -> None:
        """Finish the frame that an interrupt left unfinished, and take its bytes out of the ring."""
        self.connection.finish_sending()
        if self._in_flight:
            self._base += self._in_flight
            self._words[BEGIN_WORD] = self._base
            self._used = 0
            self._in_flight = 0

    def _make_room(self, stream: int, size: int) -> None:
        if self._in_flight or self._used + size > CAPACITY or (stream != self._stream and self._used):
            self._flush()
        self._stream = stream
        self._words[STREAM_WORD] = stream

    def _put(self, stream: int, data: bytes) -> None:
        if stream != self._stream or self._used + len(data) > CAPACITY or self._in_flight:
            self._make_room(stream, len(data))
        used = self._used
        self._used = after = used + len(data)
        self._data[used:after] = data
        self._words[END_WORD] = self._base + after

    def _put_pieces(self, stream: int, text: str) -> None:
        if self._waiting(0, 1):
            self._take_pipes()
        self._put_text(stream, text, CAPACITY if text.isascii() else LARGE_CHARS)
        self._flush()

    def _send_odd(self, stream: int, text: str) -> None:
        """Send text that UTF-8 cannot encode; it goes through the ring like any other."""
        for start in range(0, len(text), LARGE_CHARS):
            piece = text[start : start + LARGE_CHARS]
            self._flush()
            data = piece.encode("utf-8", "surrogatepass")
            self._put(stream, data)
            payload = to_json(output_message(self._base, stream, piece)).encode("ascii")
            self._in_flight = self._used
            self.connection.send(KIND_JSON, payload)
            self._finish_sending()

    def _take_pipes(self) -> None:
        """Move the bytes in the pipes, which C code and subprocesses wrote, into the ring."""
        for stream, text in self.reader.take():
            self._put_text(stream, text, LARGE_CHARS)

    def _put_text(self, stream: int, text: str, step: int) -> None:
        """Put text into the ring, in pieces of `step` characters."""
        for start in range(0, len(text), step):
            piece = text[start : start + step]
            try:
                data = _encode_utf8(piece)
            except UnicodeEncodeError:
                self._send_odd(stream, piece)
            else:
                self._put(stream, data)
