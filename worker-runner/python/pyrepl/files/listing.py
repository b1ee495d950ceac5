"""Owns listing a folder: the first entries in the order of their paths."""

from __future__ import annotations

from .entry import describe, joined, shown
from .place import Workspace
from .walk import Walk

TYPE_CHECKING = False
if TYPE_CHECKING:
    import os
    from typing import Any

MAX_ENTRIES = 10000
_MAX_PATH_CHARS = 4 << 20
_MAX_SEEN = 500000


def list_folder(workspace: Workspace, path: str, *, recursive: bool) -> dict[str, Any]:
    """Return the fields of the answer: at most 10,000 entries, and at most 4 MiB of paths."""
    parts = workspace.parts(path)
    place = workspace.locate(parts, follow=True)
    try:
        folder = place.open_folder()
    finally:
        place.close()
    walk = Walk(folder, "/".join([*parts, ""]), recursive=recursive)
    kept: list[tuple[str, os.stat_result]] = []
    is_truncated = False
    for seen, found in enumerate(walk):
        kept.append(found)
        if len(kept) >= 2 * MAX_ENTRIES:
            kept = _first(kept)
            is_truncated = True
        if seen >= _MAX_SEEN:
            is_truncated = True
            break
    is_truncated = is_truncated or walk.is_cut or len(kept) > MAX_ENTRIES
    entries: list[Any] = []
    left = _MAX_PATH_CHARS
    for found_path, details in _first(kept):
        left -= len(found_path)
        if left < 0:
            is_truncated = True
            break
        entries.append(describe(found_path, details))
    return {"path": joined(parts), "entries": entries, "truncated": is_truncated}


def _first(found: list[tuple[str, os.stat_result]]) -> list[tuple[str, os.stat_result]]:
    found.sort(key=lambda one: shown(one[0]))
    return found[:MAX_ENTRIES]
