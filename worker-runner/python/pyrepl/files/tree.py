"""Owns the calls that change the tree of folders: delete, move, make a folder."""

from __future__ import annotations

import os
import stat

from .entry import describe, joined
from .place import Workspace, make_one
from .refusal import Refused

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .entry import Entry

_FOLDER_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_MAX_DEPTH = 500
_ATTEMPTS = 3


def delete(workspace: Workspace, path: str, *, recursive: bool) -> None:
    """Delete a file, a link itself, or a folder; a folder with something in it only if `recursive`."""
    place = workspace.locate(_below_root(workspace, path))
    try:
        if not stat.S_ISDIR(place.details().st_mode):
            os.unlink(place.name, dir_fd=place.folder)
        elif recursive:
            _remove_folder(place.folder, place.name, 0)
        else:
            os.rmdir(place.name, dir_fd=place.folder)
    finally:
        place.close()


def move(workspace: Workspace, source: str, target: str) -> Entry:
    """Move or rename; what stands at the target is replaced, unless it is a folder with something in it."""
    target_parts = _below_root(workspace, target)
    before = workspace.locate(_below_root(workspace, source))
    try:
        before.details()
        after = workspace.locate(target_parts, make=True)
        try:
            os.rename(before.name, after.name, src_dir_fd=before.folder, dst_dir_fd=after.folder)
            return describe(joined(target_parts), after.details())
        finally:
            after.close()
    finally:
        before.close()


def make_folder(workspace: Workspace, path: str) -> tuple[Entry, bool]:
    """Make a folder and those above it; returns its entry, and whether it is new."""
    parts = workspace.parts(path)
    place = workspace.locate(parts, follow=True, make=True)
    try:
        is_new = bool(place.name) and make_one(place.name, place.folder)
        details = place.details()
        if not stat.S_ISDIR(details.st_mode):
            raise Refused("invalid_path", "There is something else at this path.")
        return describe(joined(parts), details), is_new
    finally:
        place.close()


def _below_root(workspace: Workspace, path: str) -> list[str]:
    parts = workspace.parts(path)
    if not parts:
        raise Refused("invalid_path", "The workspace itself stays where it is.")
    return parts


def _remove_folder(parent: int, name: str, depth: int) -> None:
    if depth >= _MAX_DEPTH:
        raise Refused("invalid_path", f"The folder is deeper than {_MAX_DEPTH} folders.")
    for attempt in range(_ATTEMPTS):
        folder = os.open(name, _FOLDER_FLAGS, dir_fd=parent)
        try:
            _empty_folder(folder, depth)
        finally:
            os.close(folder)
        try:
            os.rmdir(name, dir_fd=parent)
            return
        except FileNotFoundError:
            return
        except OSError:
            # User code has added something meanwhile.
            if attempt + 1 == _ATTEMPTS:
                raise


def _empty_folder(folder: int, depth: int) -> None:
    with os.scandir(folder) as entries:
        found = [(entry.name, entry.is_dir(follow_symlinks=False)) for entry in entries]
    for name, is_folder in found:
        try:
            if is_folder:
                _remove_folder(folder, name, depth + 1)
            else:
                os.unlink(name, dir_fd=folder)
        except FileNotFoundError:
            continue
