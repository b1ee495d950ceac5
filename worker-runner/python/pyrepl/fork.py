"""Owns our own forks: what they must not change (random state), and that user code's fork hooks know them apart."""

from __future__ import annotations

import os
import sys
from typing import Any

_fork = os.fork
_waitpid = os.waitpid
_exit = os._exit


class Forker:
    """Forks this process; `is_own` tells the hook that runs in every forked child whose fork it was."""

    __slots__ = ("is_own",)

    def __init__(self) -> None:
        self.is_own = False

    def fork(self, *, is_fresh: bool = False) -> int:
        """Fork as `os.fork` does; OSError where the kernel refuses.

        The random module's state stays as it is in the child, unless the child is to be a fresh interpreter.
        """
        state = None if is_fresh else _random_state()
        self.is_own = True
        try:
            pid = _quiet_fork()
        finally:
            self.is_own = False
        if pid == 0 and state is not None:
            generator, numbers, gauss = state
            type(generator).setstate(generator, (generator.VERSION, numbers, gauss))
        return pid

    def fork_for_keeper(self) -> bool:
        """Fork twice, so that the new process becomes a child of the keeper; True in the new process."""
        middle = self.fork()
        if middle == 0:
            try:
                newcomer = self.fork()
            except OSError:
                _exit(1)
            if newcomer:
                _exit(0)
            return True
        _, status = _waitpid(middle, 0)
        if status:
            raise OSError("no further process")
        return False


def _quiet_fork() -> int:
    """Fork without the warning about threads, which is for programs that do not know that they have some."""
    warnings: Any = sys.modules.get("warnings")
    if sys.version_info < (3, 12) or warnings is None:
        return _fork()
    filters = warnings.filters
    kept = filters[:]
    filters.insert(0, ("ignore", None, DeprecationWarning, None, 0))
    try:
        return _fork()
    finally:
        filters[:] = kept


def _random_state() -> tuple[Any, Any, Any] | None:
    """Return the shared generator of the random module and its state, which its own fork hook would throw away."""
    random: Any = sys.modules.get("random")
    generator = getattr(random, "_inst", None)
    if generator is None:
        return None
    try:
        _, numbers, gauss = generator.getstate()
    except Exception:
        return None
    return generator, numbers, gauss
