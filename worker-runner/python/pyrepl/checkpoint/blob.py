"""Owns the bytes of a checkpoint blob: header, sections in chunks, checksum; docs/checkpoint-format.md describes them."""

from __future__ import annotations

import mmap
import os
import struct
import sys

from ..library import LIBRARY
from ..wire import from_json, to_json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any, BinaryIO, TypeAlias

MAGIC = b"PYREPL3-CHECKPOINT\n"
FORMAT_VERSION = 1
CHUNK_BYTES = 262144
MAX_CHUNK_BYTES = 1 << 30
MAX_META_BYTES = 1 << 28

_VALID, _VOID = 0, 0xFFFFFFFF
_U32 = struct.Struct("<I")

Meta: TypeAlias = "dict[str, Any]"


class BlobError(Exception):
    """The blob cannot be used; `code` is one of the contract's `load_failed` codes."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail


class BlobFull(Exception):
    """The next bytes would exceed the blob's size limit."""


def python_name() -> str:
    """Return the Python that a blob must have been written by: implementation and minor version."""
    return f"{sys.implementation.name}-{sys.version_info[0]}.{sys.version_info[1]}"


class BlobWriter:
    """Writes a blob through `send`, which gets pieces of at most `CHUNK_BYTES`."""

    def __init__(self, send: Callable[[bytes], None], max_bytes: int) -> None:
        self._send = send
        self._max_bytes = max_bytes
        self._pending = bytearray()
        self._hash = _new_sha256()
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
        self._put(_U32.pack(size))

    def put_part(self, part: Any) -> None:
        """Write some bytes of the chunk that was announced."""
        self._put(part)

    def put_section_end(self, *, is_valid: bool) -> None:
        """End a section, or mark it as invalid."""
        self._put(_U32.pack(_VALID if is_valid else _VOID))

    def _put_meta(self, meta: Meta) -> None:
        data = to_json(meta).encode("ascii")
        self._put(_U32.pack(len(data)))
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


class BlobReader:
    """A whole blob in a file without a name, checked before anything in it is used."""

    def __init__(self) -> None:
        self._file: BinaryIO = _nameless_file()
        self._hash = _new_sha256()
        self._tail = b""
        self.size = 0
        self.header: Meta = {}
        self._view: Any = b""
        self._position = 0

    def append(self, piece: bytes) -> None:
        """Append the next piece."""
        self._file.write(piece)
        self.size += len(piece)
        joined = self._tail + piece
        self._hash.update(joined[:-32])
        self._tail = joined[-32:]

    def check(self) -> None:
        """Check checksum, format and Python version; BlobError if one is wrong."""
        if self.size < len(MAGIC) + 4 + 33:
            raise BlobError("format", "too short for a checkpoint")
        self._file.flush()
        self._view = memoryview(mmap.mmap(self._file.fileno(), 0, prot=mmap.PROT_READ))
        if self._view[: len(MAGIC)] != MAGIC:
            raise BlobError("format", "not a checkpoint")
        if self._hash.digest() != self._tail:
            raise BlobError("checksum", "the checkpoint is damaged")
        self._position = len(MAGIC)
        self.header = self._take_meta()
        if self.header.get("format") != FORMAT_VERSION:
            raise BlobError("format", f"format {self.header.get('format')!r}, this is {FORMAT_VERSION}")
        if self.header.get("python") != python_name():
            raise BlobError("python_version", f"made by {self.header.get('python')}, this is {python_name()}")

    def sections(self) -> Iterator[tuple[bytes, Meta, list[Any]]]:
        """Yield kind, meta and chunks of each valid section."""
        while True:
            kind = bytes(self._take(1))
            if kind == b"Z":
                return
            meta = self._take_meta()
            chunks: list[Any] = []
            while True:
                size = _U32.unpack(self._take(4))[0]
                if size in (_VALID, _VOID):
                    break
                chunks.append(self._take(size))
            if size == _VALID:
                yield kind, meta, chunks

    def _take(self, size: int) -> Any:
        end = self._position + size
        if end > self.size - 32:
            raise BlobError("format", "a section is longer than the checkpoint")
        piece = self._view[self._position : end]
        self._position = end
        return piece

    def _take_meta(self) -> Meta:
        size = _U32.unpack(self._take(4))[0]
        if size > MAX_META_BYTES:
            raise BlobError("format", "a section's description is too long")
        try:
            meta = from_json(bytes(self._take(size)))
        except ValueError:
            meta = None
        if not isinstance(meta, dict):
            raise BlobError("format", "a section's description is not JSON")
        return meta


class ChunkReader:
    """A file for the unpickler that reads chunks one after another. With `peek`, the unpickler reads far ahead at a time."""

    def __init__(self, chunks: list[Any]) -> None:
        self._chunks = chunks
        self._index = 0
        self._offset = 0

    def read(self, size: int) -> bytes:
        """Return up to `size` bytes."""
        target = bytearray(size)
        return bytes(target[: self.readinto(target)])

    def peek(self, size: int) -> bytes:
        """Return up to `size` of the next bytes without taking them."""
        if self._index == len(self._chunks):
            return b""
        return bytes(self._chunks[self._index][self._offset : self._offset + size])

    def readinto(self, target: Any) -> int:
        """Fill `target`; returns how many bytes there were."""
        wanted, done = len(target), 0
        while done < wanted and self._index < len(self._chunks):
            chunk = self._chunks[self._index]
            piece = chunk[self._offset : self._offset + wanted - done]
            target[done : done + len(piece)] = piece
            done += len(piece)
            self._offset += len(piece)
            if self._offset == len(chunk):
                self._index, self._offset = self._index + 1, 0
        return done

    def readline(self) -> bytes:
        """Return bytes up to a line end."""
        line = bytearray()
        while not line.endswith(b"\n"):
            byte = self.read(1)
            if not byte:
                break
            line += byte
        return bytes(line)


def _new_sha256() -> Any:
    # Imported at the first checkpoint only, because OpenSSL takes several megabytes in every process.
    return LIBRARY.load("hashlib").sha256()


def _nameless_file() -> BinaryIO:
    if hasattr(os, "memfd_create"):
        return open(os.memfd_create("checkpoint"), "w+b")
    file: BinaryIO = LIBRARY.load("tempfile").TemporaryFile()
    return file
