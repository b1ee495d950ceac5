"""Owns counting the processes and threads of a session without a user of its own, because the kernel counts them by user."""

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
