"""Owns finding and killing the session's other processes: all of the pid namespace or, without one, all descendants."""

from __future__ import annotations

import os
import signal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Collection

_STABLE_PASSES = 50


def others(keep: Collection[int]) -> set[int]:
    """Return the processes of the session except this one and `keep`.

    A zombie counts as gone if another process has to reap it. Our own zombies count until they are reaped, because a process
    whose first thread has ended looks like a zombie while its other threads are still ending.
    """
    own = os.getpid()
    found: set[int] = set()
    for pid in _everybody() if own == 1 else descendants(own):
        parent, state = _read_stat(pid)
        is_gone = parent < 0 or (state in "ZX" and parent != own)
        if pid != own and pid not in keep and not is_gone:
            found.add(pid)
    return found


def _everybody() -> list[int]:
    """Return all processes of the pid namespace."""
    return [int(entry) for entry in os.listdir("/proc") if entry.isdigit()]


def descendants(ancestor: int) -> list[int]:
    """Return the children of `ancestor`, their children, and so on; a subreaper has all of its descendants there."""
    found: list[int] = []
    pending = [ancestor]
    while pending:
        for child in children_of(pending.pop()):
            found.append(child)
            pending.append(child)
    return found


def children_of(pid: int) -> list[int]:
    """Return the children of all threads of a process, ended ones included."""
    found: list[int] = []
    try:
        tasks = os.listdir(f"/proc/{pid}/task")
    except OSError:
        return found
    for task in tasks:
        try:
            with open(f"/proc/{pid}/task/{task}/children", "rb") as children:
                found.extend(map(int, children.read().split()))
        except OSError:
            continue
    return found


def _read_stat(pid: int) -> tuple[int, str]:
    """Return a process's parent and state; parent -1 if there is no such process."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as stat:
            fields = stat.read().rpartition(b")")[2].split(None, 2)
    except OSError:
        return -1, "X"
    return int(fields[1]), fields[0].decode("ascii")


def is_living(pid: int) -> bool:
    """Say whether the process exists and is no zombie."""
    return _read_stat(pid)[1] not in "ZX"


def send_signal(pid: int, signum: int) -> bool:
    """Send a signal; False if there is no such process."""
    try:
        os.kill(pid, signum)
    except OSError:
        return False
    return True


def signal_like_terminal(pid: int, signum: int) -> bool:
    """Send a signal; SIGINT goes to the whole process group, as Ctrl-C does in a terminal. False if there is no such process."""
    if signum == signal.SIGINT:
        try:
            if os.getpgid(pid) == pid:
                os.killpg(pid, signum)
                return True
        except OSError:
            return False
    return send_signal(pid, signum)


def signal_group(leader: int, signum: int) -> bool:
    """Send a signal to every process of a group; False if there is none."""
    try:
        os.killpg(leader, signum)
    except OSError:
        return False
    return True


def lead_group() -> None:
    """Make this process the leader of a process group of its own: processes that it forks belong to it."""
    try:
        os.setpgid(0, 0)
    except OSError:
        return


def end_others(keep: Collection[int], wait_for_end: Callable[[], None]) -> int:
    """Kill every other process except `keep`; returns how many there were.

    Processes are stopped before they are killed, and the search repeats until no new one appears, so a fork bomb cannot escape.
    `wait_for_end` reaps, and blocks only briefly.
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
