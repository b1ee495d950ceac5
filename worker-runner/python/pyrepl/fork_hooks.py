"""Owns which functions that were registered with `os.register_at_fork` run in forks of ours.

Those of the library and of installed packages run: they mend what a fork breaks, such as locks that a lost thread held. Those of
the session's own code do not run: our forks copy the session, so they must neither hang, nor change it, nor end it.
"""

from __future__ import annotations

import os
import sys

from .guard import interruptible
from .library import LIBRARY
from .own_modules import real_module

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from .fork import Forker

_register: Callable[..., None] = os.register_at_fork
_get_frame = sys._getframe


class ForkHooks:
    """Replaces `os.register_at_fork` for user code."""

    def __init__(self, forker: Forker) -> None:
        self._forker = forker
        self.packages_folder = ""
        """Where the session's installed packages are, once it is known."""

    def install(self) -> None:
        """Replace the function of the os module."""
        forker, is_of_package = self._forker, self._is_of_package

        def register_at_fork(**functions: Any) -> None:
            """Register callables to be called when forking a new process."""
            if not is_of_package(_get_frame(1).f_code.co_filename):
                functions = {
                    place: _UserHook(function, forker) if callable(function) else function
                    for place, function in functions.items()
                }
            _register(**functions)

        register_at_fork.__qualname__ = register_at_fork.__name__
        register_at_fork.__module__ = "posix"
        real_module("os").register_at_fork = register_at_fork

    def _is_of_package(self, file: str) -> bool:
        """Say whether a file of code belongs to the library or to an installed package."""
        folder = self.packages_folder
        return LIBRARY.has_file(file) or (folder != "" and file.startswith(folder + os.sep))


class _UserHook:
    """A function of user code that runs at each fork but ours."""

    __slots__ = ("_forker", "_function")

    def __init__(self, function: Callable[[], Any], forker: Forker) -> None:
        self._function = function
        self._forker = forker

    @interruptible
    def __call__(self) -> None:
        if not self._forker.is_forking():
            self._function()

    def __repr__(self) -> str:
        # Python shows it if the function raises.
        return repr(self._function)
