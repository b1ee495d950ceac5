"""Owns reading a checkpoint blob: it checks the whole blob, then yields its sections in chunks."""

from __future__ import annotations

import mmap
import os

from ..library import LIBRARY
from ..wire import from_json
from .blob_format import FORMAT_VERSION, MAGIC, U32, VALID, VOID, new_sha256, python_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any, BinaryIO

    from .blob_format import Meta

MAX_META_BYTES = 1 << 28


class BlobError(Exception):
    """The blob cannot be used; `code` is one of the contract's `load_failed` codes."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail


class BlobReader:
    """A whole blob in a file without a name, checked before anything in it is used."""

    def __init__(self) -> None:
        self._file: BinaryIO = _nameless_file()
        self._hash = new_sha256()
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
                size = U32.unpack(self._take(4))[0]
                if size in (VALID, VOID):
                    break
                chunks.append(self._take(size))
            if size == VALID:
                yield kind, meta, chunks

    def _take(self, size: int) -> Any:
        end = self._position + size
        if end > self.size - 32:
            raise BlobError("format", "a section is longer than the checkpoint")
        piece = self._view[self._position : end]
        self._position = end
        return piece

    def _take_meta(self) -> Meta:
        size = U32.unpack(self._take(4))[0]
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


def _nameless_file() -> BinaryIO:
    if hasattr(os, "memfd_create"):
        return open(os.memfd_create("checkpoint"), "w+b")
    file: BinaryIO = LIBRARY.load("tempfile").TemporaryFile()
    return file
