"""Owns measuring the files of a session that has no tmpfs: bytes and number, also of files that were deleted and are still open.

Nothing here follows a link or opens a file; user code may change everything while it is measured.
"""

from __future__ import annotations

import os
import sys

from . import processes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .landlock_entry import WardEntry

_BLOCK_BYTES = 512
_MAX_DEPTH = 800
_MAX_HIDDEN_MAPPINGS = 16
"""Files that are deleted, closed and only mapped: their size cannot be asked for, so that only a few are allowed."""


class _Sum:
    """Bytes and files so far, each file counted once."""

    def __init__(self, max_bytes: int, max_files: int) -> None:
        self.bytes = self.files = 0
        self._max_bytes, self._max_files = max_bytes, max_files
        self.seen: set[tuple[int, int]] = set()

    def add(self, status: os.stat_result) -> None:
        """Count a file, unless it was counted under another name."""
        if (status.st_dev, status.st_ino) not in self.seen:
            self.seen.add((status.st_dev, status.st_ino))
            self.files += 1
            self.bytes += status.st_blocks * _BLOCK_BYTES

    def is_over(self) -> bool:
        """Say whether it is too much already."""
        return self.bytes > self._max_bytes or self.files > self._max_files


def is_within(entry: WardEntry, keeper: int) -> bool:
    """Say whether the files of the session take no more than they may."""
    if entry["folder"] is None:
        return True
    total = _Sum(entry["max_bytes"], entry["max_files"])
    # One call for each level of folders, and some for the rest.
    sys.setrecursionlimit(_MAX_DEPTH + 200)
    try:
        top = os.open(entry["folder"], os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:
        return True
    try:
        device = os.fstat(top).st_dev
        _add_folder(total, top, 0)
    finally:
        os.close(top)
    return not total.is_over() and _add_deleted(total, device, keeper)


def _add_folder(total: _Sum, folder: int, depth: int) -> None:
    with os.scandir(folder) as entries:
        for each in entries:
            if total.is_over():
                return
            try:
                total.add(each.stat(follow_symlinks=False))
                if not each.is_dir(follow_symlinks=False):
                    continue
                if depth == _MAX_DEPTH:
                    # Deeper folders cannot be counted without holding more descriptors than there are.
                    total.files += 1 << 40
                    return
                below = os.open(each.name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
            except PermissionError:
                # A folder that its owner may not list cannot be counted, so it is not allowed.
                total.files += 1 << 40
                return
            except OSError:
                continue  # It is gone, or was replaced.
            try:
                _add_folder(total, below, depth + 1)
            finally:
                os.close(below)


def _add_deleted(total: _Sum, device: int, keeper: int) -> bool:
    """Count what is deleted and still held by a process; False if that is too much."""
    hidden: set[bytes] = set()
    for pid in (keeper, *processes.descendants(keeper)):
        for descriptor in _descriptors_of(pid):
            try:
                status = os.stat(f"/proc/{pid}/fd/{descriptor}")
            except OSError:
                continue
            if status.st_nlink == 0 and status.st_dev == device:
                total.add(status)
        hidden |= _deleted_mappings(pid, total, device)
        if total.is_over() or len(hidden) > _MAX_HIDDEN_MAPPINGS:
            return False
    return True


def _descriptors_of(pid: int) -> list[str]:
    try:
        return os.listdir(f"/proc/{pid}/fd")
    except OSError:
        return []


def _deleted_mappings(pid: int, total: _Sum, device: int) -> set[bytes]:
    """Return the inodes of deleted files that a process has mapped, and that are not counted yet."""
    found: set[bytes] = set()
    try:
        with open(f"/proc/{pid}/maps", "rb") as maps:
            for line in maps:
                if not line.endswith(b" (deleted)\n"):
                    continue
                _, _, _, numbers, inode = line.split(None, 5)[:5]
                major, minor = (int(number, 16) for number in numbers.split(b":"))
                if os.makedev(major, minor) == device and (device, int(inode)) not in total.seen:
                    found.add(inode)
    except OSError:
        return found
    return found
