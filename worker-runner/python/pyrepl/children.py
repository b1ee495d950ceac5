"""Owns hiding our snapshots from user code that waits for any child."""

from __future__ import annotations

import errno
import os

from .fork import quiet_fork
from .guard import interruptible
from .own_modules import real_module
from .processes import children_of
from .ring import Ring

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

_fork = os.fork
_waitpid = os.waitpid
_wait3 = os.wait3
_wait4 = os.wait4
_waitid = os.waitid
_WNOHANG = os.WNOHANG


class HiddenChildren:
    """The pids of snapshots that are children of this live process."""

    def __init__(self, ring: Ring) -> None:
        self._ring = ring
        self.pids: set[int] = set()
        self._ended: list[int] = []

    def reap(self) -> None:
        """Reap the snapshots that have ended."""
        for pid in list(self.pids):
            try:
                ended, _ = _waitpid(pid, _WNOHANG)
            except OSError:
                ended = pid
            if ended:
                self._forget(pid)

    def take_ended(self) -> list[int]:
        """Return the pids of the snapshots that have ended since the last call, also of those that user code waited for."""
        ended, self._ended = self._ended, []
        return ended

    def await_ends(self, killed: Iterable[object]) -> None:
        """Wait until the snapshots among `killed` have ended."""
        for pid in killed:
            if type(pid) is int and pid in self.pids:
                self._wait_for(pid)
                self._forget(pid)

    def forget_all(self) -> None:
        """Forget all of them: they are not children of this process."""
        self.pids.clear()
        self._ended.clear()

    @staticmethod
    def _wait_for(pid: int) -> None:
        try:
            _waitpid(pid, 0)
        except OSError:
            return

    def install(self) -> None:
        """Replace the waiting functions of the os module."""
        hidden = self

        def wait() -> tuple[int, int]:
            """Wait for completion of a child process; returns (pid, status)."""
            return waitpid(-1, 0)

        def waitpid(pid: int, options: int, /) -> tuple[int, int]:
            """Wait for completion of a given child process; returns (pid, status)."""
            while True:
                hidden._refuse(pid)
                result = _waitpid(pid, options)
                if not hidden._swallow(result[0]):
                    return result

        def wait3(options: int) -> tuple[int, int, Any]:
            """Wait for completion of a child process; returns (pid, status, rusage)."""
            return wait4(-1, options)

        def wait4(pid: int, options: int) -> tuple[int, int, Any]:
            """Wait for completion of a specific child process; returns (pid, status, rusage)."""
            while True:
                hidden._refuse(pid)
                result = _wait4(pid, options)
                if not hidden._swallow(result[0]):
                    return result

        def waitid(idtype: int, id: int, options: int, /) -> Any:
            """Wait for completion of a child process; returns waitid_result, or None."""
            while True:
                hidden._refuse(id if idtype == os.P_PID else -1)
                result = _waitid(idtype, id, options)
                if result is None or not hidden._swallow(result.si_pid):
                    return result

        def fork() -> int:
            """Fork a child process; returns 0 in the child and the child's id in the parent."""
            # Python warns if there are threads. The pump does not count: user code did not start it.
            return _fork() if _has_user_threads() else quiet_fork()

        for function in (fork, wait, waitpid, wait3, wait4, waitid):
            function.__qualname__ = function.__name__
            function.__module__ = "posix"
            interruptible(function)
            setattr(real_module("os"), function.__name__, function)

    def _swallow(self, pid: int) -> bool:
        if pid in self.pids:
            self._forget(pid)
            return True
        return False

    def _forget(self, pid: int) -> None:
        self.pids.discard(pid)
        self._ended.append(pid)
        self._ring.unregister(pid)

    def _refuse(self, pid: int) -> None:
        """Raise as the kernel does if the caller has no child that it may wait for."""
        if not self.pids:
            return
        if pid in self.pids or (pid <= 0 and not set(children_of(os.getpid())) - self.pids):
            raise ChildProcessError(errno.ECHILD, os.strerror(errno.ECHILD))


def _has_user_threads() -> bool:
    return len(os.listdir("/proc/self/task")) > 2
