"""Owns keeping our modules apart from user code: out of sys.modules, and with their own copies of library modules.

If user code assigns to attributes of `os`, `select` or `time`, it changes the modules that it imports. Our modules hold copies,
made in the keeper, with the same functions under the same names.
"""

from __future__ import annotations

import os
import sys
from types import ModuleType

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

OWN_PREFIX = os.path.dirname(os.path.abspath(__file__)) + os.sep
"""The folder of our own code, as `co_filename` shows it."""

_SHARED = frozenset(("sys", "builtins", "typing"))
"""Modules whose attributes we set or read for user code, and therefore share with it."""


def isolate() -> None:
    """Give every module of ours its own copies of the library modules that it names; once, before user code exists."""
    # By identity: `_io` and `io` both call themselves "io".
    copies: dict[int, ModuleType] = {}
    for own in _own_modules().values():
        for name, value in list(vars(own).items()):
            if type(value) is ModuleType and not _is_own(value) and value.__name__ not in _SHARED:
                vars(own)[name] = copies.setdefault(id(value), _copy(value))


def hide() -> None:
    """Remove our modules from sys.modules; their functions still work."""
    for name in _own_modules():
        del sys.modules[name]


def real_module(name: str) -> Any:
    """Return the module that user code gets if it imports `name`."""
    return sys.modules[name]


def _copy(module: ModuleType) -> ModuleType:
    copy = ModuleType(module.__name__, module.__doc__)
    vars(copy).update(vars(module))
    return copy


def _own_modules() -> dict[str, ModuleType]:
    return {name: module for name, module in list(sys.modules.items()) if _is_own(module)}


def _is_own(module: Any) -> bool:
    path = getattr(module, "__file__", None)
    return isinstance(path, str) and path.startswith(OWN_PREFIX)
