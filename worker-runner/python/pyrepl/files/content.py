"""Owns reading a file, and staging its new content until it replaces the old one as a whole."""

from __future__ import annotations

import os
import stat

from .entry import etag_of, joined
from .place import Place, Workspace
from .refusal import Refused

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ..messages import Condition

PIECE_BYTES = 262144
_MODE = 0o666


def open_file(workspace: Workspace, path: str) -> tuple[int, str, os.stat_result]:
    """Open a regular file for reading; returns its descriptor, its path and its details."""
    parts = workspace.parts(path)
    place = workspace.locate(parts, follow=True)
    try:
        # Looked at before it is opened: the other end of a FIFO would notice, and a device may do anything.
        _check_regular(place.details())
        descriptor = place.open(os.O_RDONLY)
    finally:
        place.close()
    details = os.fstat(descriptor)
    _check_regular(details)
    return descriptor, joined(parts), details


def _check_regular(details: os.stat_result) -> None:
    if stat.S_ISREG(details.st_mode):
        return
    kind = "a folder" if stat.S_ISDIR(details.st_mode) else "neither a file nor a folder"
    raise Refused("invalid_path", f"There is {kind} at this path.")


class Staged:
    """New content of a file that nobody sees yet. The kernel removes it when this process ends."""

    def __init__(self, workspace: Workspace, path: str, size: int | None, folder: str | None) -> None:
        self._workspace = workspace
        self.path = path
        parts = _file_parts(workspace, path, folder)
        self._folder = workspace.existing_folder(parts[:-1])
        self._name: str | None = None
        self.size = 0
        try:
            self._check_room(size)
            self._descriptor = self._create()
        except BaseException:
            os.close(self._folder)
            raise

    def write(self, piece: bytes) -> None:
        """Add a piece."""
        rest = memoryview(piece)
        while rest:
            rest = rest[os.write(self._descriptor, rest) :]
        self.size += len(piece)

    def commit(self, folder: str | None, condition: Condition) -> dict[str, Any]:
        """Put the content in its place; returns the fields of the answer."""
        parts = _file_parts(self._workspace, self.path, folder)
        place = self._workspace.locate(parts, make=True)
        try:
            is_new = self._replace(place, condition)
            details = os.fstat(self._descriptor)
        finally:
            place.close()
            self.discard()
        return {"path": joined(parts), "size": details.st_size, "etag": etag_of(details), "is_new": is_new}

    def discard(self) -> None:
        """Give up what was not put in its place."""
        if self._folder < 0:
            return
        if self._name is not None:
            _remove(self._folder, self._name)
        os.close(self._descriptor)
        os.close(self._folder)
        self._folder = -1

    def _replace(self, place: Place, condition: Condition) -> bool:
        before = place.found()
        if before is None or not stat.S_ISREG(before.st_mode):
            os.fchmod(self._descriptor, _MODE & ~_umask())
        else:
            os.fchmod(self._descriptor, stat.S_IMODE(before.st_mode) & 0o777)
        check_condition(place, condition)
        if condition.get("if_none_match") == "*":
            # The kernel refuses this if user code has made the file a moment ago.
            try:
                self._link(place.folder, place.name)
            except FileExistsError:
                raise Refused("precondition_failed", "The file exists.") from None
            return True
        temporary = self._name
        if temporary is None:
            temporary = _temporary_name()
            self._link(place.folder, temporary)
            source = place.folder
        else:
            source = self._folder
        try:
            check_condition(place, condition)
            os.rename(temporary, place.name, src_dir_fd=source, dst_dir_fd=place.folder)
        except BaseException:
            _remove(source, temporary)
            raise
        self._name = None
        return before is None

    def _link(self, folder: int, name: str) -> None:
        if self._name is None:
            os.link(f"/proc/self/fd/{self._descriptor}", name, dst_dir_fd=folder, follow_symlinks=True)
        else:
            os.link(self._name, name, src_dir_fd=self._folder, dst_dir_fd=folder, follow_symlinks=False)

    def _create(self) -> int:
        try:
            return os.open(".", os.O_WRONLY | os.O_TMPFILE | os.O_CLOEXEC, 0o600, dir_fd=self._folder)
        except OSError:
            # Not every file system has files without a name.
            name = _temporary_name()
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
            descriptor = os.open(name, flags, 0o600, dir_fd=self._folder)
            self._name = name
            return descriptor

    def _check_room(self, size: int | None) -> None:
        if size is None or size == 0:
            return
        room = os.fstatvfs(self._folder)
        if size > room.f_bavail * room.f_frsize:
            raise Refused("workspace_full", "The workspace has no room for it.")


def check_target(workspace: Workspace, path: str, folder: str | None, condition: Condition) -> None:
    """Refuse a write that cannot succeed, before its content is sent."""
    parts = _file_parts(workspace, path, folder)
    try:
        place = workspace.locate(parts)
    except FileNotFoundError:
        if condition.get("if_match") is not None:
            raise Refused("precondition_failed", "The file does not exist.") from None
        return
    try:
        check_condition(place, condition)
    finally:
        place.close()


def check_condition(place: Place, condition: Condition) -> None:
    """Refuse a write whose condition does not hold, or that would replace a folder."""
    details = place.found()
    if_match, if_none_match = condition.get("if_match"), condition.get("if_none_match")
    if if_match is not None and details is None:
        raise Refused("precondition_failed", "The file does not exist.")
    if details is None:
        return
    if stat.S_ISDIR(details.st_mode):
        raise Refused("invalid_path", "There is a folder at this path.")
    if if_match is not None and if_match != "*" and etag_of(details) not in if_match:
        raise Refused("precondition_failed", "The file has changed.")
    if if_none_match is not None and (if_none_match == "*" or etag_of(details) in if_none_match):
        raise Refused("precondition_failed", "The file exists.")


def _file_parts(workspace: Workspace, path: str, folder: str | None) -> list[str]:
    own = workspace.parts(path)
    if not own or path.endswith(("/", "/.", "/..")):
        raise Refused("invalid_path", "The path names a folder.")
    return own if folder is None else workspace.parts(folder) + own


def _temporary_name() -> str:
    return f".upload-{os.urandom(8).hex()}"


def _remove(folder: int, name: str) -> None:
    try:
        os.unlink(name, dir_fd=folder)
    except OSError:
        return


def _umask() -> int:
    mask = os.umask(0o022)
    os.umask(mask)
    return mask
