"""Owns leaving the frame marks out of a pickle.

The pickler in C marks a frame about every 64 KiB, with its length. If an object changes its size, all later marks stand elsewhere
between the objects, and the edge would store all pieces of the pickle again. The format makes the marks optional.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

_PROTO = b"\x80\x05"
_FRAME = 0x95
_FRAME_BYTES = 9
_LARGE_BYTES = 65536
# pickletools: BINUNICODE8, BINBYTES8 and BYTEARRAY8 have a length of eight bytes, BINBYTES and BINUNICODE one of four.
_LONG_HEADERS, _SHORT_HEADERS = b"\x8d\x8e\x96", b"BX"


class Unframed:
    """A file for the pickler. `begin` must be called before each pickle."""

    def __init__(self, write: Callable[[Any], Any]) -> None:
        self._write = write
        self._is_start = False
        self._is_payload_next = False

    def begin(self) -> None:
        """Note that the next write begins a pickle."""
        self._is_start = True
        self._is_payload_next = False

    def write(self, data: Any) -> int:
        """Write what the pickler wrote, without the mark of a frame that begins it.

        The pickler writes a frame at a time, and then a large payload by itself, right behind its header. A payload may look like
        a frame, so the write behind a header is passed on as it is.
        """
        size = len(data) if isinstance(data, (bytes, bytearray)) else memoryview(data).nbytes
        start = len(_PROTO) if self._is_start and data[: len(_PROTO)] == _PROTO else 0
        is_payload = self._is_payload_next
        self._is_start = self._is_payload_next = False
        if is_payload or not isinstance(data, bytes):
            self._write(data)
            return size
        header = _size_of_header(data)
        self._is_payload_next = header > 0
        if size > start + _FRAME_BYTES and data[start] == _FRAME:
            length = int.from_bytes(data[start + 1 : start + _FRAME_BYTES], "little")
            if start + _FRAME_BYTES + length in (size, size - header):
                if start:
                    self._write(data[:start])
                self._write(memoryview(data)[start + _FRAME_BYTES :])
                return size
        self._write(data)
        return size


def _size_of_header(data: bytes) -> int:
    """Return the size of the header at the end, if a large payload may follow it; otherwise 0."""
    for size, opcodes in ((9, _LONG_HEADERS), (5, _SHORT_HEADERS)):
        end = data[-size:]
        if len(end) == size and end[0] in opcodes and int.from_bytes(end[1:], "little") >= _LARGE_BYTES:
            return size
    return 0
