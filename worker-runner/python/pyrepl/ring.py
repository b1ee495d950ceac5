"""Owns the layout of the memory that all processes of a session share: unsent output, and the pids of our processes."""

from __future__ import annotations

import mmap
import os
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

CAPACITY = 65536
"""Bytes of output that the ring holds."""

_HEADER_BYTES = 4096
BEGIN_WORD, END_WORD, STREAM_WORD, LIVE_PID_WORD, INTERRUPTS_WORD, BEGUN_WORD, BEGUN_AT_WORD = range(7)
"""The header's words. `output.py` writes the first three itself, because a call for each print would be slow."""

_ROSTER_START, _ROSTER_SLOTS = 8, 64
_kill = os.kill
_monotonic_ns = time.monotonic_ns


class Ring:
    """Output not yet sent, the number of interrupts noticed, and the pids whose end the keeper reports.

    `begin` and `end` are offsets of output since the live process began. The live process alone writes the output words while
    it lives; the keeper reads them after it has died. Each is one aligned word, so a kill between two statements leaves a
    consistent ring.
    """

    __slots__ = ("_map", "data", "words")

    def __init__(self) -> None:
        self.words = memoryview(b"")
        self.data = memoryview(b"")

    def open(self, *, is_shared: bool = True) -> None:
        """Map the memory, in the keeper before its first fork."""
        sharing = mmap.MAP_SHARED if is_shared else mmap.MAP_PRIVATE
        self._map = mmap.mmap(-1, _HEADER_BYTES + CAPACITY, flags=sharing | mmap.MAP_ANONYMOUS)
        view = memoryview(self._map)
        self.words = view[:_HEADER_BYTES].cast("Q")
        self.data = view[_HEADER_BYTES:]

    def start(self, pid: int) -> None:
        """Empty the ring for the live process `pid`."""
        words = self.words
        words[BEGIN_WORD] = words[END_WORD] = 0
        words[STREAM_WORD] = 1
        words[LIVE_PID_WORD] = pid
        words[INTERRUPTS_WORD] = words[BEGUN_WORD] = 0

    def note_interrupts(self, count: int) -> None:
        """Record how many interrupts the running execution has noticed."""
        self.words[INTERRUPTS_WORD] = count

    def note_begin(self) -> None:
        """Record that the code of another execution begins now."""
        words = self.words
        words[BEGUN_AT_WORD] = _monotonic_ns()
        words[BEGUN_WORD] += 1

    def begun(self) -> int:
        """Return how many executions the live process has begun. User code can overwrite the word."""
        return min(self.words[BEGUN_WORD], 1 << 53)

    def seconds_since_begin(self) -> float:
        """Return how long ago the last one of them began. User code can overwrite the word."""
        return max(0.0, (_monotonic_ns() - self.words[BEGUN_AT_WORD]) / 1e9)

    def interrupts(self) -> int:
        """Return the recorded count. User code can overwrite the word, so the count is a hint."""
        return self.words[INTERRUPTS_WORD]

    def live_pid(self) -> int:
        """Return the pid of the live process, or 0 if there is none."""
        return self.words[LIVE_PID_WORD]

    def unsent(self) -> tuple[int, int, bytes] | None:
        """Return (offset, stream, bytes) of the output not yet sent, or None if the header is inconsistent."""
        begin, end, stream = self.words[BEGIN_WORD], self.words[END_WORD], self.words[STREAM_WORD]
        if not begin <= end <= begin + CAPACITY or stream not in (1, 2) or end >= 1 << 53:
            return None
        return begin, stream, bytes(self.data[: end - begin])

    def register(self, pid: int) -> None:
        """Add `pid` to the processes whose end the keeper reports; reuses the slot of an ended process if all are taken."""
        words = self.words
        for is_free in (_is_empty, _is_gone):
            for step in range(_ROSTER_SLOTS):
                # Start at a slot that depends on the pid: several processes may register at the same time.
                slot = _ROSTER_START + (pid + step) % _ROSTER_SLOTS
                if is_free(words[slot]):
                    words[slot] = pid
                    if words[slot] == pid:
                        return

    def is_registered(self, pid: object) -> bool:
        """Say whether `pid` is a process of ours."""
        if type(pid) is not int or pid <= 1:
            return False
        return self.words[LIVE_PID_WORD] == pid or any(self.words[slot] == pid for slot in self._slots())

    def unregister(self, pid: int) -> bool:
        """Remove `pid`; say whether it was a process of ours."""
        was_registered = False
        for slot in self._slots():
            if self.words[slot] == pid:
                self.words[slot] = 0
                was_registered = True
        if self.words[LIVE_PID_WORD] == pid:
            self.words[LIVE_PID_WORD] = 0
            was_registered = True
        return was_registered

    @staticmethod
    def _slots() -> Iterator[int]:
        return iter(range(_ROSTER_START, _ROSTER_START + _ROSTER_SLOTS))


def _is_empty(pid: int) -> bool:
    return pid == 0


def _is_gone(pid: int) -> bool:
    try:
        _kill(pid, 0)
    except ProcessLookupError:
        return True
    except (OSError, OverflowError):
        return False
    return False
