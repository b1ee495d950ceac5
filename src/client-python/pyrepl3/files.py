"""Owns the workspace of a session, as the two clients offer it: `client.files`."""

from __future__ import annotations

import os
from typing import IO, TYPE_CHECKING, Dict, Optional, Union

from . import file_calls
from .records import FileEntry, FileListing, FileWritten

if TYPE_CHECKING:
    from .async_client import AsyncClient
    from .client import Client

Content = Union[bytes, str, IO[bytes]]
LocalPath = Union[str, "os.PathLike[str]"]


def _content_of(content: Content) -> Union[bytes, IO[bytes]]:
    return content.encode() if isinstance(content, str) else content


def _range_of(start: Optional[int], size: Optional[int]) -> Dict[str, str]:
    if start is None and size is None:
        return {}
    first = start or 0
    return {"range": f"bytes={first}-{'' if size is None else first + size - 1}"}


class Files:
    """Files of one session; paths are relative to its workspace.

    Example::

        from pyrepl3 import Client
        with Client("http://127.0.0.1:8787") as client:
            _ = client.files.write("notes/one.txt", "Hello")
            client.run("open('notes/one.txt').read()").value
            client.files.read("notes/one.txt")
    """

    def __init__(self, client: Client) -> None:
        self._client = client

    def list(self, path: str = ".", *, recursive: bool = False) -> FileListing:
        """Return a folder's entries, at most 10,000."""
        return self._client.make(file_calls.listing(self._client.session_name, path, recursive))

    def read(self, path: str, *, start: Optional[int] = None, size: Optional[int] = None) -> bytes:
        """Return a file's bytes.

        Args:
            path: of the file.
            start: the first byte wanted.
            size: how many bytes from there.
        """
        return self._client.make(file_calls.read(self._client.session_name, path, _range_of(start, size)))

    def write(
        self, path: str, content: Content, *, if_match: Optional[str] = None, must_be_new: bool = False
    ) -> FileWritten:
        """Write a file as a whole; folders are made, and a reader sees the old or the new content, never half.

        Args:
            path: of the file.
            content: bytes, text (as UTF-8), or an open binary file, which is streamed.
            if_match: replace the version with this etag only.
            must_be_new: fail where the file exists.
        """
        session = self._client.session_name
        return self._client.make(file_calls.write(session, path, _content_of(content), if_match, must_be_new))

    def upload(self, source: LocalPath, path: str) -> FileWritten:
        """Copy a file of this machine to the workspace."""
        with open(source, "rb") as content:
            return self.write(path, content)

    def download(self, path: str, target: LocalPath) -> None:
        """Copy a file of the workspace to this machine; a download that fails leaves nothing."""
        partial = f"{os.fspath(target)}.partial"
        try:
            with open(partial, "wb") as sink:
                self._client.make(file_calls.download(self._client.session_name, path, sink))
            os.replace(partial, target)
        finally:
            if os.path.exists(partial):
                os.remove(partial)

    def delete(self, path: str, *, recursive: bool = False) -> None:
        """Delete a file, an empty folder, or with `recursive` a folder and all in it."""
        self._client.make(file_calls.delete(self._client.session_name, path, recursive))

    def move(self, source: str, target: str) -> FileEntry:
        """Move or rename a file or folder."""
        return self._client.make(file_calls.move(self._client.session_name, source, target))

    def make_directory(self, path: str) -> FileEntry:
        """Make a folder, and those above it."""
        return self._client.make(file_calls.make_directory(self._client.session_name, path))


class AsyncFiles:
    """Files of one session; paths are relative to its workspace."""

    def __init__(self, client: AsyncClient) -> None:
        self._client = client

    async def list(self, path: str = ".", *, recursive: bool = False) -> FileListing:
        """Return a folder's entries, at most 10,000."""
        return await self._client.make(file_calls.listing(self._client.session_name, path, recursive))

    async def read(self, path: str, *, start: Optional[int] = None, size: Optional[int] = None) -> bytes:
        """Return a file's bytes.

        Args:
            path: of the file.
            start: the first byte wanted.
            size: how many bytes from there.
        """
        return await self._client.make(file_calls.read(self._client.session_name, path, _range_of(start, size)))

    async def write(
        self, path: str, content: Content, *, if_match: Optional[str] = None, must_be_new: bool = False
    ) -> FileWritten:
        """Write a file as a whole; folders are made, and a reader sees the old or the new content, never half.

        Args:
            path: of the file.
            content: bytes, text (as UTF-8), or an open binary file, which is streamed.
            if_match: replace the version with this etag only.
            must_be_new: fail where the file exists.
        """
        session = self._client.session_name
        return await self._client.make(file_calls.write(session, path, _content_of(content), if_match, must_be_new))

    async def upload(self, source: LocalPath, path: str) -> FileWritten:
        """Copy a file of this machine to the workspace."""
        with open(source, "rb") as content:
            return await self.write(path, content)

    async def download(self, path: str, target: LocalPath) -> None:
        """Copy a file of the workspace to this machine; a download that fails leaves nothing."""
        partial = f"{os.fspath(target)}.partial"
        try:
            with open(partial, "wb") as sink:
                await self._client.make(file_calls.download(self._client.session_name, path, sink))
            os.replace(partial, target)
        finally:
            if os.path.exists(partial):
                os.remove(partial)

    async def delete(self, path: str, *, recursive: bool = False) -> None:
        """Delete a file, an empty folder, or with `recursive` a folder and all in it."""
        await self._client.make(file_calls.delete(self._client.session_name, path, recursive))

    async def move(self, source: str, target: str) -> FileEntry:
        """Move or rename a file or folder."""
        return await self._client.make(file_calls.move(self._client.session_name, source, target))

    async def make_directory(self, path: str) -> FileEntry:
        """Make a folder, and those above it."""
        return await self._client.make(file_calls.make_directory(self._client.session_name, path))
