"""Owns completion of names, attributes and imports, without running properties of user code."""

from __future__ import annotations

import builtins
import os
import sys

from .library import LIBRARY
from .literal import is_in_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

MAX_MATCHES = 500
_MAX_NAME_CHARS = 200

_TAIL = r"[\w.]*\Z"
_IMPORT = r"^\s*import\s+(?:[\w.]+(?:\s+as\s+\w+)?\s*,\s*)*(?P<name>[\w.]*)\Z"
_FROM = r"^\s*from\s+(?P<name>[\w.]*)\Z"
_FROM_NAMES = r"^\s*from\s+(?P<module>[\w.]+)\s+import\s+\(?(?:\w+(?:\s+as\s+\w+)?\s*,\s*)*(?P<name>\w*)\Z"
_SUFFIXES = (".py", ".so")
_MISSING = object()


def completions(namespace: dict[str, Any], code: str, cursor: int) -> dict[str, Any]:
    """Return `matches`, `cursor_start` and `cursor_end` for `code` with the cursor before character `cursor`."""
    cursor = max(0, min(cursor, len(code)))
    before = code[:cursor]
    try:
        prefix, found = ("", []) if is_in_text(before) else _find(namespace, before.rpartition("\n")[2])
    except Exception:
        prefix, found = "", []
    matches = sorted({name for name in found if name.startswith(prefix) and len(name) <= _MAX_NAME_CHARS}, key=_order)[
        :MAX_MATCHES
    ]
    if not prefix.startswith("_"):
        public = [name for name in matches if not name.startswith("_")]
        matches = public or matches
    return {"matches": matches, "cursor_start": cursor - len(prefix), "cursor_end": cursor}


def _order(name: str) -> Any:
    return (name.startswith("__"), name.startswith("_"), name)


def _find(namespace: dict[str, Any], line: str) -> Any:
    re: Any = LIBRARY.load("re")
    names = re.match(_FROM_NAMES, line)
    if names:
        return names["name"], _module_names(names["module"])
    imported = re.match(_IMPORT, line) or re.match(_FROM, line)
    if imported:
        parent, _, prefix = imported["name"].rpartition(".")
        return prefix, _submodules(parent) if parent else _top_modules()
    tail = re.search(_TAIL, line)
    expression = tail.group() if tail else ""
    owner, dot, prefix = expression.rpartition(".")
    if not dot:
        return prefix, _plain_names(namespace)
    target = _resolve(namespace, str(owner).split("."))
    return prefix, [] if target is _MISSING else _attributes(target)


def _plain_names(namespace: dict[str, Any]) -> Iterable[str]:
    keyword = LIBRARY.load("keyword")
    return [name for name in (*namespace, *vars(builtins), *keyword.kwlist) if type(name) is str]


def _resolve(namespace: dict[str, Any], parts: list[str]) -> Any:
    first = parts[0]
    value = namespace.get(first, vars(builtins).get(first, _MISSING))
    for part in parts[1:]:
        if value is _MISSING:
            break
        value = _static_attribute(value, part)
    return value


def _static_attribute(value: Any, name: str) -> Any:
    """Return an attribute if reading it runs no code, otherwise a sentinel."""
    own = _own_dict(value)
    if name in own:
        return own[name]
    for kind in type.__dict__["__mro__"].__get__(type(value)):
        found = type.__dict__["__dict__"].__get__(kind).get(name, _MISSING)
        if found is not _MISSING:
            return _MISSING if hasattr(type(found), "__get__") else found
    return _MISSING


def _own_dict(value: Any) -> dict[str, Any]:
    if issubclass(type(value), type):
        merged: dict[str, Any] = {}
        for kind in reversed(type.__dict__["__mro__"].__get__(value)):
            merged.update(type.__dict__["__dict__"].__get__(kind))
        return merged
    try:
        own = object.__getattribute__(value, "__dict__")
    except AttributeError:
        return {}
    return own if type(own) is dict else {}


def _attributes(value: Any) -> Iterable[str]:
    names: set[str] = set(filter(_is_text, _own_dict(value)))
    for kind in type.__dict__["__mro__"].__get__(type(value)):
        names.update(filter(_is_text, type.__dict__["__dict__"].__get__(kind)))
    return names


def _is_text(name: object) -> bool:
    return type(name) is str


def _top_modules() -> Iterable[str]:
    names: set[str] = set(getattr(sys, "stdlib_module_names", sys.builtin_module_names))
    names.update(name for name in sys.modules if "." not in name)
    for entry in sys.path:
        names.update(_modules_in(entry or "."))
    return names


def _modules_in(folder: str) -> list[str]:
    try:
        entries = os.listdir(folder)
    except OSError:
        return []
    names: list[str] = []
    for entry in entries[:5000]:
        name, suffix = os.path.splitext(entry)
        name = name.partition(".")[0]
        if name.isidentifier() and (suffix in _SUFFIXES or (not suffix and os.path.isdir(os.path.join(folder, entry)))):
            names.append(name)
    return names


def _submodules(module_name: str) -> Iterable[str]:
    module = sys.modules.get(module_name)
    folders = _own_dict(module).get("__path__", []) if module is not None else []
    if module is None:
        tail = module_name.replace(".", os.sep)
        folders = [os.path.join(entry or ".", tail) for entry in sys.path]
    return [name for folder in list(folders) for name in _modules_in(folder)]


def _module_names(module_name: str) -> Iterable[str]:
    module = sys.modules.get(module_name)
    known = list(filter(_is_text, _own_dict(module))) if module is not None else []
    return [*known, *_submodules(module_name)]
