"""Owns counting the processes and threads of a session that shares its user with others, so that no kernel limit is its own."""

from __future__ import annotations

import os

from . import processes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .landlock_entry import WardEntry


def has_room(entry: WardEntry, keeper: int) -> bool:
    """Say whether the session has no more processes and threads than it may."""
    if entry["user"] is not None:
        return True
    return sum(map(_threads_of, (keeper, *processes.descendants(keeper)))) <= entry["max_processes"]


def _threads_of(pid: int) -> int:
    try:
        return len(os.listdir(f"/proc/{pid}/task"))
    except OSError:
        return 0
