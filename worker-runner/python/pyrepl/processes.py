"""Owns looking at and ending the other processes of the session: all of the pid namespace, or all descendants without one."""

from __future__ import annotations

import os
import signal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Collection

_STABLE_PASSES = 50


def _read_table() -> dict[int, tuple[int, str]]:
    """Return parent and state of every process in /proc."""
    table: dict[int, tuple[int, str]] = {}
    for entry in os.listdir("/proc"):
        if not entry.isdigit():
            continue
        try:
            with open(f"/proc/{entry}/stat", "rb") as stat:
                text = stat.read()
        except OSError:
            continue
        fields = text[text.rindex(b")") + 2 :].split(None, 2)
        table[int(entry)] = (int(fields[1]), fields[0].decode("ascii"))
    return table


def others(keep: Collection[int]) -> set[int]:
    """Return the processes of the session except this one and `keep`.

    Zombies count as gone where somebody else has to reap them. Our own do not until they are reaped: a process whose first
    thread has ended looks like one while the others still end.
    """
    table = _read_table()
    own = os.getpid()
    found: set[int] = set()
    for pid, (parent, state) in table.items():
        if pid == own or pid in keep or (state in "ZX" and parent != own):
            continue
        if own == 1 or _descends(pid, own, table):
            found.add(pid)
    return found


def _descends(pid: int, ancestor: int, table: dict[int, tuple[int, str]]) -> bool:
    seen = 0
    while pid in table and seen < len(table):
        pid = table[pid][0]
        seen += 1
        if pid == ancestor:
            return True
    return False


def send_signal(pid: int, signum: int) -> bool:
    """Send a signal; False where there is no such process."""
    try:
        os.kill(pid, signum)
    except OSError:
        return False
    return True


def end_others(keep: Collection[int], wait_for_end: Callable[[], None]) -> int:
    """End every other process but `keep`; returns how many there were.

    They are stopped before they are killed, and looked for until no new one appears: a fork bomb cannot outrun that.
    `wait_for_end` reaps, and blocks for a moment at most.
    """
    ended: set[int] = set()
    while True:
        targets = others(keep)
        if not targets:
            return len(ended)
        for _ in range(_STABLE_PASSES):
            for pid in targets:
                send_signal(pid, signal.SIGSTOP)
            newer = others(keep)
            if newer <= targets:
                break
            targets |= newer
        for pid in targets:
            send_signal(pid, signal.SIGKILL)
        ended |= targets
        while others(keep) & targets:
            wait_for_end()
