"""Owns how a file or folder is described to the client."""

from __future__ import annotations

import os
import stat

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TypedDict

    class Entry(TypedDict):
        """One line of a listing."""

        path: str
        type: str
        size: int
        modified_at: float


def describe(path: str, details: os.stat_result) -> Entry:
    """Return the entry of the file or folder at `path`."""
    kind = type_of(details)
    size = details.st_size if kind in ("file", "link") else 0
    return {"path": shown(path), "type": kind, "size": size, "modified_at": max(0.0, details.st_mtime_ns / 1e9)}


def type_of(details: os.stat_result) -> str:
    """Return `file`, `directory`, `link` or `other`."""
    mode = details.st_mode
    if stat.S_ISREG(mode):
        return "file"
    return "directory" if stat.S_ISDIR(mode) else "link" if stat.S_ISLNK(mode) else "other"


def etag_of(details: os.stat_result) -> str:
    """Return a tag that changes with the content: a changed file has another inode, size or time."""
    facts = (details.st_ino, details.st_size, details.st_mtime_ns, details.st_ctime_ns)
    return '"' + "-".join(format(fact, "x") for fact in facts) + '"'


def shown(path: str) -> str:
    """Return the path as text that JSON and UTF-8 can hold; a name that is not UTF-8 gets replacement characters."""
    return path.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def joined(parts: list[str]) -> str:
    """Return the path of these components, `.` for the workspace itself."""
    return shown("/".join(parts)) or "."
