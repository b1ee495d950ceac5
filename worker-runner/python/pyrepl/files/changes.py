"""Owns finding out which files changed between two moments."""

from __future__ import annotations

import os
import stat
import time

from .entry import shown
from .place import Workspace
from .walk import Walk

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, TypeAlias

    Facts: TypeAlias = tuple[int, int, int, int]

MAX_CHANGES = 200
_MAX_FILES = 100000
_TICK_NS = 10_000_000
"""The kernel's clock for files may stand still for this long (CONFIG_HZ is at least 100)."""


class Watch:
    """The files of the workspace as they are now."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._before, self._is_cut = self._look()
        self._let_clock_move()

    def report(self) -> dict[str, Any]:
        """Return the fields of the answer: the files that have changed since, at most 200."""
        after, is_cut = self._look()
        is_cut = is_cut or self._is_cut
        changes: list[dict[str, Any]] = []
        for path, facts in after.items():
            before = self._before.get(path)
            if before is None and not self._is_cut:
                changes.append({"path": shown(path), "change": "created", "size": facts[1]})
            elif before is not None and before != facts:
                changes.append({"path": shown(path), "change": "modified", "size": facts[1]})
        if not is_cut:
            gone = self._before.keys() - after.keys()
            changes.extend({"path": shown(path), "change": "deleted", "size": 0} for path in gone)
        changes.sort(key=lambda change: change["path"])
        return {"files": changes[:MAX_CHANGES], "truncated": is_cut or len(changes) > MAX_CHANGES}

    def _look(self) -> tuple[dict[str, Facts], bool]:
        place = self._workspace.locate([])
        folder = place.open_folder()
        place.close()
        found: dict[str, Facts] = {}
        walk = Walk(folder, "", recursive=True)
        try:
            for path, details in walk:
                if stat.S_ISREG(details.st_mode) or stat.S_ISLNK(details.st_mode):
                    if len(found) >= _MAX_FILES:
                        return found, True
                    found[path] = (details.st_ino, details.st_size, details.st_mtime_ns, details.st_ctime_ns)
        finally:
            os.close(folder)
        return found, walk.is_cut

    def _let_clock_move(self) -> None:
        """Wait if a file has changed a moment ago: another change could get the same time."""
        now = time.time_ns()
        if any(0 <= now - max(facts[2], facts[3]) < 2 * _TICK_NS for facts in self._before.values()):
            time.sleep(2 * _TICK_NS / 1e9)
