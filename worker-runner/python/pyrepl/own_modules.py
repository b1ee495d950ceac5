"""Owns keeping our modules apart from user code: out of sys.modules, and with library modules of their own.

What user code does to `os`, `select` or `time` by assignment reaches the modules that it imports. Ours hold copies of them,
made in the keeper, in which the same functions stand under the same names.
"""

from __future__ import annotations

import os
import sys
from types import ModuleType

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

OWN_PREFIX = os.path.dirname(os.path.abspath(__file__)) + os.sep
"""Where our own code comes from, as it stands in `co_filename`."""

_SHARED = frozenset(("sys", "builtins", "typing"))
"""Modules whose attributes we set or read for user code, and therefore share with it."""


def isolate() -> None:
    """Give every module of ours its own copies of the library modules that it names. Once, before user code exists."""
    copies: dict[str, ModuleType] = {}
    for own in _own_modules().values():
        for name, value in list(vars(own).items()):
            if type(value) is ModuleType and not _is_own(value) and value.__name__ not in _SHARED:
                vars(own)[name] = copies.setdefault(value.__name__, _copy(value))


def hide() -> None:
    """Take our modules out of sys.modules; their functions go on working."""
    for name in _own_modules():
        del sys.modules[name]


def real_module(name: str) -> Any:
    """Return the module that user code gets by importing `name`."""
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
