"""Owns the layout of the memory that all processes of a session share: unsent output, and who is whose."""

from __future__ import annotations

import mmap
import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

CAPACITY = 65536
"""Bytes of output that the ring holds."""

_HEADER_BYTES = 4096
_BEGIN, _END, _STREAM, _LIVE_PID, _INTERRUPTS = range(5)
_ROSTER_START, _ROSTER_SLOTS = 8, 64
_kill = os.kill


class Ring:
    """Output not yet sent, interrupts noticed, and the pids that the keeper reports.

    `begin` to `end` are offsets of output since the live process began.

    The live process is the only writer of the output fields while it lives; the keeper reads them after its death.
    `begin` and `end` are single aligned words, so that a kill between two statements leaves a consistent ring.
    """

    __slots__ = ("_map", "data", "words")

    def __init__(self) -> None:
        self._map = mmap.mmap(-1, _HEADER_BYTES + CAPACITY)
        view = memoryview(self._map)
        self.words: memoryview = view[:_HEADER_BYTES].cast("Q")
        self.data: memoryview = view[_HEADER_BYTES:]

    def start(self, pid: int) -> None:
        """Empty the ring for the live process `pid`."""
        words = self.words
        words[_BEGIN] = words[_END] = 0
        words[_STREAM] = 1
        words[_LIVE_PID] = pid
        words[_INTERRUPTS] = 0

    def note_interrupts(self, count: int) -> None:
        """Note how many interrupts the running execution has taken notice of."""
        self.words[_INTERRUPTS] = count

    def interrupts(self) -> int:
        """Return how many that were, as far as user code has left the word alone."""
        return self.words[_INTERRUPTS]

    def live_pid(self) -> int:
        """Return the pid of the live process, 0 where there is none."""
        return self.words[_LIVE_PID]

    def unsent(self) -> tuple[int, int, bytes] | None:
        """Return (offset, stream, bytes) of what was not sent, or None where the header makes no sense."""
        begin, end, stream = self.words[_BEGIN], self.words[_END], self.words[_STREAM]
        if not begin <= end <= begin + CAPACITY or stream not in (1, 2) or end >= 1 << 53:
            return None
        return begin, stream, bytes(self.data[: end - begin])

    def enrol(self, pid: int) -> None:
        """Note `pid` as a process of ours, whose end the keeper reports; takes the place of one that is gone where it must."""
        words = self.words
        for is_free in (_is_empty, _is_gone):
            for step in range(_ROSTER_SLOTS):
                # From a place of its own: several processes may enrol at the same time.
                slot = _ROSTER_START + (pid + step) % _ROSTER_SLOTS
                if is_free(words[slot]):
                    words[slot] = pid
                    if words[slot] == pid:
                        return

    def is_enrolled(self, pid: object) -> bool:
        """Say whether `pid` is a living process of ours."""
        if type(pid) is not int or pid <= 1:
            return False
        return self.words[_LIVE_PID] == pid or any(self.words[slot] == pid for slot in self._slots())

    def dismiss(self, pid: int) -> bool:
        """Forget `pid`; say whether it was one of ours."""
        was_enrolled = False
        for slot in self._slots():
            if self.words[slot] == pid:
                self.words[slot] = 0
                was_enrolled = True
        if self.words[_LIVE_PID] == pid:
            self.words[_LIVE_PID] = 0
            was_enrolled = True
        return was_enrolled

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
