"""Owns walking through folders by descriptor: a link is never followed, and memory is bounded by the caller."""

from __future__ import annotations

import os
import stat

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_DEPTH = 64
"""Each level holds a descriptor."""


class Walk:
    """Everything in one folder; `is_cut` tells, at the end, whether something was too deep or could not be read."""

    def __init__(self, folder: int, prefix: str, *, recursive: bool) -> None:
        self._folder = folder
        self._prefix = prefix
        self._recursive = recursive
        self.is_cut = False

    def __iter__(self) -> Iterator[tuple[str, os.stat_result]]:
        yield from self._within(self._folder, self._prefix, 0)

    def _within(self, folder: int, prefix: str, depth: int) -> Iterator[tuple[str, os.stat_result]]:
        with os.scandir(folder) as entries:
            for entry in entries:
                try:
                    details = entry.stat(follow_symlinks=False)
                except FileNotFoundError:
                    continue
                path = f"{prefix}{entry.name}"
                yield path, details
                if self._recursive and stat.S_ISDIR(details.st_mode):
                    yield from self._below(folder, entry.name, path, depth + 1)

    def _below(self, folder: int, name: str, path: str, depth: int) -> Iterator[tuple[str, os.stat_result]]:
        if depth >= MAX_DEPTH:
            self.is_cut = True
            return
        try:
            below = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
        except OSError:
            # User code has removed or replaced it, or nobody may read it.
            self.is_cut = True
            return
        try:
            yield from self._within(below, f"{path}/", depth)
        finally:
            os.close(below)
