"""Owns finding a path inside the workspace, one component at a time, so that nothing outside is ever opened.

User code runs meanwhile and can replace any folder by a symbolic link. So each component is opened relative to the descriptor
of the one before, and never through a link. A link is read as text and followed here, as long as it stays in the workspace.
"""

from __future__ import annotations

import errno
import os
import stat

from .refusal import Refused

_FOLDER_FLAGS = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_MAX_LINKS = 40
_MAX_DEPTH = 256
_NOT_A_FOLDER = (errno.ENOTDIR, errno.ELOOP)


class Place:
    """A name in an open folder; the name is empty if the place is the workspace itself."""

    __slots__ = ("folder", "name")

    def __init__(self, folder: int, name: str) -> None:
        self.folder = folder
        self.name = name

    def details(self) -> os.stat_result:
        """Return what is there; a link is not followed. FileNotFoundError if there is nothing."""
        if not self.name:
            return os.fstat(self.folder)
        return os.stat(self.name, dir_fd=self.folder, follow_symlinks=False)

    def found(self) -> os.stat_result | None:
        """Return what is there, or None."""
        try:
            return self.details()
        except FileNotFoundError:
            return None

    def open(self, flags: int) -> int:
        """Open what is there without waiting for it and without following a link."""
        flags |= os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
        return os.open(self.name or ".", flags, dir_fd=self.folder)

    def open_folder(self) -> int:
        """Open the folder that is there, for reading its entries."""
        return self.open(os.O_RDONLY | os.O_DIRECTORY)

    def close(self) -> None:
        """Close the folder."""
        os.close(self.folder)


class Workspace:
    """The workspace of the session."""

    def __init__(self, path: str) -> None:
        self.path = path.rstrip("/")
        self._root = os.open(path, _FOLDER_FLAGS)

    def parts(self, path: str) -> list[str]:
        """Return the components of a path that the client names; Refused if the path leaves the workspace."""
        if "\0" in path:
            raise Refused("invalid_path", "A path has no NUL.")
        found: list[str] = []
        for part in self._relative(path).split("/"):
            if part == "..":
                if not found:
                    raise Refused("invalid_path", "The path leaves the workspace.")
                found.pop()
            elif part not in ("", "."):
                found.append(part)
        if len(found) > _MAX_DEPTH:
            raise Refused("invalid_path", f"The path is deeper than {_MAX_DEPTH} folders.")
        return found

    def locate(self, parts: list[str], *, follow: bool = False, make: bool = False) -> Place:
        """Return the place that `parts` name; its folder is open.

        Args:
            parts: what `parts` returned.
            follow: a link at the end of the path is followed.
            make: folders on the way that are missing are made.
        """
        walk = _Walk(self, parts, self._root)
        try:
            while walk.pending:
                part = walk.pending.pop()
                if part == "..":
                    walk.leave()
                elif walk.pending:
                    walk.enter(part, make=make)
                elif not follow or not walk.follow(part):
                    return Place(walk.take(), part)
            return Place(walk.take(), "")
        finally:
            walk.close()

    def existing_folder(self, parts: list[str]) -> int:
        """Open the folder that `parts` name, or the nearest one above it that exists."""
        for length in range(len(parts), 0, -1):
            try:
                place = self.locate(parts[:length], follow=True)
            except FileNotFoundError:
                continue
            try:
                return place.open(_FOLDER_FLAGS)
            except FileNotFoundError:
                continue
            finally:
                place.close()
        return os.dup(self._root)

    def link_parts(self, target: str) -> tuple[list[str], bool]:
        """Return the components of a link's target, and whether they begin at the workspace's own folder."""
        relative = self._relative(target)
        return [part for part in relative.split("/") if part not in ("", ".")], relative is not target

    def _relative(self, path: str) -> str:
        if not path.startswith("/"):
            return path
        if path == self.path or path.startswith(f"{self.path}/"):
            return path[len(self.path) :]
        raise Refused("invalid_path", "The path leads out of the workspace.")


class _Walk:
    """The folders that are open on the way to a place."""

    def __init__(self, workspace: Workspace, parts: list[str], root: int) -> None:
        self._workspace = workspace
        self._folders = [os.dup(root)]
        self._links = 0
        self.pending = parts[::-1]

    def enter(self, part: str, *, make: bool) -> None:
        """Open the next folder."""
        if len(self._folders) > _MAX_DEPTH:
            raise Refused("invalid_path", f"The path is deeper than {_MAX_DEPTH} folders.")
        try:
            self._folders.append(self._open(part, make=make))
        except OSError as error:
            if error.errno not in _NOT_A_FOLDER or not self.follow(part):
                raise

    def leave(self) -> None:
        """Go back to the folder before."""
        if len(self._folders) == 1:
            raise Refused("invalid_path", "A symbolic link on the way leads out of the workspace.")
        os.close(self._folders.pop())

    def follow(self, part: str) -> bool:
        """Continue at the target of a link; False if `part` is no link."""
        details = Place(self._folders[-1], part).found()
        if details is None or not stat.S_ISLNK(details.st_mode):
            return False
        self._links += 1
        if self._links > _MAX_LINKS:
            raise Refused("invalid_path", "Too many symbolic links on the way.")
        target, from_root = self._workspace.link_parts(os.readlink(part, dir_fd=self._folders[-1]))
        if from_root:
            while len(self._folders) > 1:
                os.close(self._folders.pop())
        self.pending.extend(reversed(target))
        return True

    def take(self) -> int:
        """Return the folder that was reached; the caller closes it."""
        return self._folders.pop()

    def close(self) -> None:
        """Close the folders that were not taken."""
        while self._folders:
            os.close(self._folders.pop())

    def _open(self, part: str, *, make: bool) -> int:
        folder = self._folders[-1]
        try:
            return os.open(part, _FOLDER_FLAGS, dir_fd=folder)
        except FileNotFoundError:
            if not make:
                raise
        make_one(part, folder)
        return os.open(part, _FOLDER_FLAGS, dir_fd=folder)


def make_one(name: str, folder: int) -> bool:
    """Make a folder in an open one; False if something of that name is there already."""
    try:
        os.mkdir(name, 0o777, dir_fd=folder)
    except FileExistsError:
        return False
    return True
