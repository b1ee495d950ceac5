"""Owns writing a checkpoint blob: header, sections in chunks, checksum (docs/checkpoint-format.md)."""

from __future__ import annotations

from ..wire import to_json
from .blob_format import FORMAT_VERSION, MAGIC, U32, VALID, VOID, new_sha256, python_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from .blob_format import Meta

CHUNK_BYTES = 262144
MAX_CHUNK_BYTES = 1 << 30


class BlobFull(Exception):
    """The next bytes would exceed the blob's size limit."""


class BlobWriter:
    """Writes a blob through `send`, which gets pieces of at most `CHUNK_BYTES`."""

    def __init__(self, send: Callable[[bytes], None], max_bytes: int) -> None:
        self._send = send
        self._max_bytes = max_bytes
        self._pending = bytearray()
        self._hash = new_sha256()
        self.size = 0

    @property
    def left(self) -> int:
        """Bytes that still fit; room for the blob's end is already reserved."""
        return self._max_bytes - self.size - 4096

    def write_header(self, meta: Meta) -> None:
        """Begin the blob."""
        self._put(MAGIC)
        self._put_meta({"format": FORMAT_VERSION, "python": python_name(), **meta})

    def write_section(self, kind: bytes, meta: Meta, content: bytes) -> None:
        """Write a section with known content; BlobFull, with nothing written, if it does not fit."""
        if len(content) + 8 * (len(content) // CHUNK_BYTES + 2) + len(to_json(meta)) > self.left:
            raise BlobFull
        section = self.open_section(kind, meta)
        section.write(content)
        section.close()

    def open_section(self, kind: bytes, meta: Meta) -> SectionWriter:
        """Begin a section whose content is written piece by piece."""
        self._put(kind)
        self._put_meta(meta)
        return SectionWriter(self)

    def finish(self) -> str:
        """End the blob; returns the SHA-256 of all of it, as hex."""
        self._put(b"Z")
        self._put(self._hash.digest())
        self._flush()
        return str(self._hash.hexdigest())

    def put_chunk(self, chunk: Any) -> None:
        """Write one chunk of a section; BlobFull if it does not fit."""
        self.begin_chunk(len(chunk))
        self._put(chunk)

    def begin_chunk(self, size: int) -> None:
        """Announce a chunk, whose bytes follow by `put_part`; BlobFull if it does not fit."""
        if size + 8 > self.left:
            raise BlobFull
        self._put(U32.pack(size))

    def put_part(self, part: Any) -> None:
        """Write some bytes of the chunk that was announced."""
        self._put(part)

    def put_section_end(self, *, is_valid: bool) -> None:
        """End a section, or mark it as invalid."""
        self._put(U32.pack(VALID if is_valid else VOID))

    def _put_meta(self, meta: Meta) -> None:
        data = to_json(meta).encode("ascii")
        self._put(U32.pack(len(data)))
        self._put(data)

    def _put(self, data: Any) -> None:
        """Hash and send; chunks are at most a piece long, small parts are gathered."""
        self._hash.update(data)
        self.size += len(data)
        if len(self._pending) + len(data) > CHUNK_BYTES:
            self._flush()
        if len(data) > CHUNK_BYTES // 2:
            self._flush()
            for start in range(0, len(data), CHUNK_BYTES):
                self._send(bytes(data[start : start + CHUNK_BYTES]))
        else:
            self._pending += data

    def _flush(self) -> None:
        if self._pending:
            self._send(bytes(self._pending))
            self._pending.clear()


class SectionWriter:
    """A file-like object for one section's content."""

    def __init__(self, blob: BlobWriter) -> None:
        self._blob = blob
        self._pending = bytearray()
        self._announced = 0
        self._is_announced = False

    def announce(self, size: int) -> None:
        """Write the content, of which there are `size` bytes, in one chunk; BlobFull if it does not fit.

        A length between the bytes would stand elsewhere whenever bytes are inserted before it, and then the edge would store all
        pieces of the section again.
        """
        if not 0 < size <= MAX_CHUNK_BYTES:
            return
        self._blob.begin_chunk(size)
        self._announced, self._is_announced = size, True

    @property
    def is_whole(self) -> bool:
        """Say whether all bytes that were announced have come."""
        return self._announced == 0

    def write(self, data: Any) -> int:
        """Write bytes; BlobFull if the blob's limit is reached, or more bytes come than were announced."""
        view = memoryview(data).cast("B") if not isinstance(data, (bytes, bytearray)) else data
        size = len(view)
        if self._is_announced:
            if size > self._announced:
                raise BlobFull
            self._announced -= size
            self._blob.put_part(view)
        elif size < CHUNK_BYTES:
            self._pending += view
            if len(self._pending) >= CHUNK_BYTES:
                self._flush()
        else:
            self._flush()
            view = memoryview(view)
            for start in range(0, size, MAX_CHUNK_BYTES):
                self._blob.put_chunk(view[start : start + MAX_CHUNK_BYTES])
        return size

    def close(self) -> None:
        """End the section, which must be whole."""
        self._flush()
        self._blob.put_section_end(is_valid=True)

    def make_void(self) -> None:
        """Mark the section as invalid, so that readers ignore it."""
        self._pending.clear()
        while self._announced:
            size = min(self._announced, CHUNK_BYTES)
            self._blob.put_part(bytes(size))
            self._announced -= size
        self._blob.put_section_end(is_valid=False)

    def _flush(self) -> None:
        if self._pending:
            self._blob.put_chunk(self._pending)
            self._pending = bytearray()
