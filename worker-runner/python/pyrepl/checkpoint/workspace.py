"""Owns the files of the workspace in a checkpoint: regular files, folders and symbolic links; links are not followed."""

from __future__ import annotations

import os
import stat

from .blob_format import Meta
from .blob_writer import BlobFull, BlobWriter
from .groups import Skipped

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

MAX_FILES = 20000
MAX_DEPTH = 64

_READ_BYTES = 262144


def write_files(blob: BlobWriter, workspace: str, max_bytes: int) -> list[Skipped]:
    """Write the workspace's files as sections; returns entries for the files left out."""
    skipped: list[Skipped] = []
    left = max_bytes
    for count, (path, details) in enumerate(_walk(workspace, skipped)):
        if count >= MAX_FILES:
            skipped.append(_entry(path, details, f"more than {MAX_FILES} files"))
            break
        size = details.st_size if stat.S_ISREG(details.st_mode) else 0
        if size > left:
            skipped.append(_entry(path, details, "larger than what is left of the workspace limit"))
            continue
        try:
            left -= _write_one(blob, workspace, path, details)
        except BlobFull:
            skipped.append(_entry(path, details, "larger than what is left of the checkpoint's size limit"))
        except OSError as error:
            skipped.append(_entry(path, details, str(error)))
    return skipped


def restore_file(workspace: str, meta: Meta, chunks: list[Any]) -> list[dict[str, str]]:
    """Write one file back, replacing an existing one; returns an entry if that fails."""
    path = str(meta.get("path", ""))
    parts = path.split("/")
    try:
        if not path or any(part in ("", ".", "..") or "\0" in part for part in parts):
            raise OSError("not a path within the workspace")
        _restore(os.path.join(workspace, *parts), meta, chunks)
    except OSError as error:
        return [{"name": path, "type": str(meta.get("type")), "reason": str(error)[:500]}]
    return []


def _walk(workspace: str, skipped: list[Skipped]) -> Iterator[tuple[str, os.stat_result]]:
    """Yield paths relative to the workspace, each folder before its contents."""
    pending = [""]
    while pending:
        folder = pending.pop()
        try:
            with os.scandir(os.path.join(workspace, folder)) as entries:
                found = sorted((entry.name, entry.stat(follow_symlinks=False)) for entry in entries)
        except OSError as error:
            skipped.append({"name": folder, "type": "folder", "reason": str(error)[:500]})
            continue
        for name, details in found:
            path = os.path.join(folder, name)
            if not _is_text(path):
                skipped.append(_entry(path.encode("utf-8", "replace").decode(), details, "its name is not UTF-8"))
            elif stat.S_ISDIR(details.st_mode) and path.count(os.sep) >= MAX_DEPTH:
                skipped.append(_entry(path, details, f"deeper than {MAX_DEPTH} folders"))
            elif _type_of(details) == "other":
                skipped.append(_entry(path, details, "neither file, folder nor symbolic link"))
            else:
                yield path, details
                if stat.S_ISDIR(details.st_mode):
                    pending.append(path)


def _write_one(blob: BlobWriter, workspace: str, path: str, details: os.stat_result) -> int:
    """Write one section; returns how many bytes of the workspace limit it uses."""
    full = os.path.join(workspace, path)
    meta: Meta = {
        "path": path,
        "type": _type_of(details),
        "mode": stat.S_IMODE(details.st_mode),
        "mtime_ns": details.st_mtime_ns,
    }
    if meta["type"] == "folder":
        blob.write_section(b"F", meta, b"")
        return 0
    if meta["type"] == "link":
        blob.write_section(b"F", {**meta, "target": os.fsencode(os.readlink(full)).decode("utf-8", "replace")}, b"")
        return 0
    descriptor = os.open(full, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        if details.st_size + 4096 > blob.left:
            raise BlobFull
        section = blob.open_section(b"F", meta)
        section.announce(details.st_size)
        left = details.st_size
        while left and (piece := os.read(descriptor, min(_READ_BYTES, left))):
            section.write(piece)
            left -= len(piece)
        if left:
            section.make_void()
            raise OSError("it was shortened while it was saved")
        section.close()
        return details.st_size
    finally:
        os.close(descriptor)


def _restore(full: str, meta: Meta, chunks: list[Any]) -> None:
    kind, mode = meta.get("type"), int(meta.get("mode", 0o644)) & 0o777
    if kind == "folder":
        os.makedirs(full, exist_ok=True)
        os.chmod(full, mode | 0o700)
        return
    if os.path.lexists(full):
        os.unlink(full)
    if kind == "link":
        os.symlink(str(meta.get("target")), full)
        return
    descriptor = os.open(full, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, mode)
    with open(descriptor, "wb") as file:
        for chunk in chunks:
            file.write(chunk)
    mtime_ns = int(meta.get("mtime_ns", 0))
    os.utime(full, ns=(mtime_ns, mtime_ns))


def _type_of(details: os.stat_result) -> str:
    mode = details.st_mode
    if stat.S_ISREG(mode):
        return "file"
    return "folder" if stat.S_ISDIR(mode) else "link" if stat.S_ISLNK(mode) else "other"


def _entry(path: str, details: os.stat_result, reason: str) -> Skipped:
    return {"name": path, "type": _type_of(details), "reason": reason[:500]}


def _is_text(path: str) -> bool:
    try:
        path.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True
