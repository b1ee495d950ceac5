"""Owns finding which names share objects; those are pickled together."""

from __future__ import annotations

import gc
import types

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

_ATOMS = frozenset(
    (
        bool,
        bytes,
        complex,
        float,
        int,
        str,
        type(None),
        type(Ellipsis),
        type(NotImplemented),
        range,
        types.BuiltinFunctionType,
        types.CodeType,
        types.MethodDescriptorType,
        types.ModuleType,
        types.WrapperDescriptorType,
    )
)
_referents = gc.get_referents


def group_names(values: dict[str, Any], elsewhere: set[int], is_elsewhere: Callable[[Any], bool]) -> list[list[str]]:
    """Return the names in groups, in their order; two names are in one group if an object can be reached from both.

    `elsewhere` are the ids of objects that a new session has too; `is_elsewhere` says of functions and classes whether a
    checkpoint refers to them by their module.
    """
    groups = _Groups()
    owner: dict[int, str] = {}
    for name, value in values.items():
        groups.add(name)
        pending = [value]
        while pending:
            current = pending.pop()
            kind = type(current)
            if kind in _ATOMS or (kind in (tuple, frozenset) and not current):
                continue
            identity = id(current)
            known = owner.get(identity)
            if known is not None:
                if known is not name:
                    groups.join(known, name)
                continue
            if identity in elsewhere:
                continue
            if (kind is types.FunctionType or issubclass(kind, type)) and is_elsewhere(current):
                elsewhere.add(identity)
                continue
            owner[identity] = name
            if not _is_flat(kind, current):
                pending.extend(_referents(current))
    return groups.listed()


def _is_flat(kind: type, value: Any) -> bool:
    """Say whether a long list holds atoms only, without copying it."""
    return kind in (list, tuple, set, frozenset) and len(value) > 1000 and set(map(type, value)) <= _ATOMS


class _Groups:
    """Disjoint sets of names."""

    def __init__(self) -> None:
        self._parent: dict[str, str] = {}

    def add(self, name: str) -> None:
        self._parent[name] = name

    def find(self, name: str) -> str:
        path: set[str] = set()
        while self._parent[name] != name:
            path.add(name)
            name = self._parent[name]
        for passed in path:
            self._parent[passed] = name
        return name

    def join(self, one: str, other: str) -> None:
        self._parent[self.find(other)] = self.find(one)

    def listed(self) -> list[list[str]]:
        lists: dict[str, list[str]] = {}
        for name in self._parent:
            lists.setdefault(self.find(name), []).append(name)
        return list(lists.values())
