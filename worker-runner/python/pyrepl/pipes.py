"""Owns the two pipes behind fd 1 and fd 2, and the text of the bytes in them."""

from __future__ import annotations

import codecs
import os
import select

from .ring import CAPACITY

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

_read = os.read
_utf_8_decode = codecs.utf_8_decode


class Pipes:
    """The pipes that are fd 1 and fd 2 of every process that the user starts; the reading ends do not block."""

    __slots__ = ("ends",)

    def __init__(self) -> None:
        self.ends: list[tuple[int, int]] = []

    def open(self) -> None:
        """Make the pipes, in the keeper before its first fork."""
        for stream in (1, 2):
            reading, writing = os.pipe()
            os.set_blocking(reading, False)
            os.dup2(writing, stream, inheritable=True)
            os.close(writing)
            self.ends.append((reading, stream))

    def read(self, reading: int) -> bytes:
        """Return the bytes that wait in one pipe, or no bytes if it is empty."""
        try:
            return _read(reading, CAPACITY)
        except OSError:
            return b""

    def close(self) -> None:
        """Close the reading ends."""
        for reading, _ in self.ends:
            try:
                os.close(reading)
            except OSError:
                continue


class PipeReader:
    """Reads both pipes as text, in one live process."""

    __slots__ = ("_decoders", "_pipes", "_readiness", "waiting")

    def __init__(self, pipes: Pipes) -> None:
        self._pipes = pipes
        # An epoll set of this process alone: asking it costs two thirds of asking poll.
        readiness = select.epoll()
        for reading, _ in pipes.ends:
            readiness.register(reading, select.EPOLLIN)
        self._readiness = readiness
        self.waiting = readiness.poll
        self._decoders = [(reading, stream, _Decoder()) for reading, stream in pipes.ends]

    def take(self) -> Iterator[tuple[int, str]]:
        """Yield (stream, text) of the bytes that wait, both pipes in turn."""
        for reading, stream, decoder in self._decoders:
            data = self._pipes.read(reading)
            if data:
                yield stream, decoder.decode(data)

    def take_partial_characters(self) -> Iterator[tuple[int, str]]:
        """Yield (stream, text) of characters that were never finished."""
        for _, stream, decoder in self._decoders:
            text = decoder.decode(b"", True)
            if text:
                yield stream, text

    def close(self) -> None:
        """Close the epoll set."""
        self._readiness.close()


class _Decoder:
    """Decodes the bytes of one pipe in C; the codecs module would run with the builtins that user code may have replaced."""

    __slots__ = ("_held",)

    def __init__(self) -> None:
        self._held = b""

    def decode(self, data: bytes, is_final: bool = False) -> str:
        """Return the text so far; hold an unfinished character until its other bytes arrive."""
        data = self._held + data
        text, used = _utf_8_decode(data, "surrogateescape", is_final)
        self._held = data[used:]
        return text
