"""Owns our own forks: they keep the random state, and fork hooks can tell them from forks of user code."""

from __future__ import annotations

import _thread
import os
import sys
from types import ModuleType

from .library import LIBRARY

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_fork = os.fork
_get_ident = _thread.get_ident
_waitpid = os.waitpid
_exit = os._exit
_modules = sys.modules


class Forker:
    """Forks this process; `is_forking` tells the fork hook whether the fork is ours."""

    __slots__ = ("_forking_thread",)

    def __init__(self) -> None:
        self._forking_thread = 0

    def is_forking(self) -> bool:
        """Say whether this thread is in a fork of ours; a thread of user code may fork at the same time."""
        return self._forking_thread == _get_ident()

    def fork(self, *, is_fresh: bool = False) -> int:
        """Fork as `os.fork` does; OSError if the kernel refuses.

        The child keeps the random module's state, unless it is to be a fresh interpreter.
        """
        state = None if is_fresh else _random_state()
        self._forking_thread = _get_ident()
        try:
            pid = quiet_fork()
        finally:
            self._forking_thread = 0
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


def quiet_fork() -> int:
    """Fork without the warning about threads, which user code did not start.

    A substitute for the warnings module ignores it, because user code may have changed the filters of the real one.
    """
    real = _modules.get("warnings")
    if sys.version_info < (3, 12) or real is None:
        return _fork()
    _modules["warnings"] = _silence
    try:
        return _fork()
    finally:
        _modules["warnings"] = real


def _make_silence() -> ModuleType:
    silence: Any = ModuleType("warnings")
    silence.filters = [("ignore", None, Warning, None, 0)]
    silence.onceregistry = {}
    silence.defaultaction = "ignore"
    return silence


def _random_state() -> tuple[Any, Any, Any] | None:
    """Return the shared generator of the random module and its state, which the module's own fork hook would replace."""
    random: Any = LIBRARY.loaded("random")
    generator = getattr(random, "_inst", None)
    if generator is None:
        return None
    try:
        _, numbers, gauss = generator.getstate()
    except Exception:
        return None
    return generator, numbers, gauss


_silence = _make_silence()
