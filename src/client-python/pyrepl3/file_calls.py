"""Owns the REST calls about files as data (protocol, section 11)."""

from __future__ import annotations

from typing import IO, Any, Mapping, Optional, Union

from .calls import API, nothing
from .http_call import Answer, Call
from .records import FileEntry, FileListing, FileWritten, record_of, records_of

_CONTENT = f"{API}/files/content"


def _entry(answer: Answer) -> FileEntry:
    return record_of(FileEntry, answer.json())


def listing(session: str, path: str, recursive: bool) -> Call[FileListing]:
    """List a folder."""

    def parse(answer: Answer) -> FileListing:
        raw = answer.json()
        return FileListing(
            raw=raw,
            path=raw["path"],
            entries=records_of(FileEntry, raw["entries"]),
            truncated=raw["truncated"],
        )

    query = {"session": session, "path": path, "recursive": recursive}
    return Call("GET", f"{API}/files", parse, query)


def read(session: str, path: str, headers: Mapping[str, str]) -> Call[bytes]:
    """Read a file."""
    return Call("GET", _CONTENT, lambda answer: answer.body, {"session": session, "path": path}, headers=headers)


def download(session: str, path: str, sink: IO[bytes]) -> Call[None]:
    """Copy a file to `sink`."""
    return Call("GET", _CONTENT, nothing, {"session": session, "path": path}, sink=sink)


def write(
    session: str, path: str, content: Union[bytes, IO[bytes]], if_match: Optional[str], must_be_new: bool
) -> Call[FileWritten]:
    """Write a file."""
    headers = {"content-type": "application/octet-stream"}
    if if_match is not None:
        headers["if-match"] = if_match
    if must_be_new:
        headers["if-none-match"] = "*"
    query: Mapping[str, Any] = {"session": session, "path": path}
    return Call(
        "PUT",
        _CONTENT,
        lambda answer: record_of(FileWritten, answer.json()),
        query,
        content=content,
        headers=headers,
    )


def delete(session: str, path: str, recursive: bool) -> Call[None]:
    """Delete a file or folder."""
    return Call("DELETE", f"{API}/files", nothing, {"session": session, "path": path, "recursive": recursive})


def move(session: str, source: str, target: str) -> Call[FileEntry]:
    """Move a file or folder."""
    return Call("POST", f"{API}/files/move", _entry, body={"from": source, "to": target, "session": session})


def make_directory(session: str, path: str) -> Call[FileEntry]:
    """Make a folder."""
    return Call("POST", f"{API}/files/directory", _entry, body={"path": path, "session": session})
