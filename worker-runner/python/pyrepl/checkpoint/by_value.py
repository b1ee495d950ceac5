"""Owns reducing the functions and classes of `__main__` to their code and parts; objects that they share stay shared."""

from __future__ import annotations

import enum
import marshal
import sys
import types

from .helpers import Helper

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

_DROPPED = ("__dict__", "__weakref__", "_abc_impl", "__slots__", "__module__", "__qualname__")
_INITIAL = ("__module__", "__qualname__", "__slots__", "__orig_bases__")
_HEAP_TYPE = 1 << 9
_ENUM_DROPPED = ("__new__", "__new_member__", "__members__")


class ByValue:
    """Reduces one object at a time; returns `NotImplemented` for objects that need no reduction of ours."""

    def __init__(
        self, helpers: dict[str, Helper], is_elsewhere: Callable[[Any], bool], mark: Callable[[dict[str, Any]], Any]
    ) -> None:
        self._helpers = helpers
        self._is_elsewhere = is_elsewhere
        self._mark = mark

    def reduce(self, value: Any) -> Any:
        """Return the reduction of a function, class, cell or descriptor."""
        kind = type(value)
        if kind is types.FunctionType:
            return NotImplemented if self._is_elsewhere(value) else self._reduce_function(value)
        if kind is types.CellType:
            return self._helpers["_make_cell"], ()
        if kind is types.MappingProxyType:
            return kind, (dict(value),)
        if kind is getattr(sys.modules.get("typing"), "TypeVar", None) and value.__module__ == "__main__":
            return self._reduce_type_variable(value)
        if kind.__module__ == "dataclasses":
            return self._reduce_dataclass_mark(value)
        if kind is property:
            return property, (value.fget, value.fset, value.fdel, value.__doc__)
        if kind in (classmethod, staticmethod):
            return kind, (value.__func__,)
        if issubclass(kind, type):
            return NotImplemented if self._is_elsewhere(value) else self._reduce_class(value)
        return NotImplemented

    def _reduce_function(self, function: types.FunctionType) -> tuple[Any, ...]:
        cells = function.__closure__
        contents: dict[int, Any] = {}
        for index, cell in enumerate(cells or ()):
            try:
                contents[index] = cell.cell_contents
            except ValueError:
                continue
        state: dict[str, Any] = {
            "cells": contents,
            "attributes": function.__dict__,
            "__defaults__": function.__defaults__,
            "__kwdefaults__": function.__kwdefaults__,
            "__annotations__": _annotations_of(function),
            "__qualname__": function.__qualname__,
            "__module__": function.__module__,
            "__doc__": function.__doc__,
        }
        arguments = (marshal.dumps(function.__code__), self._mark(function.__globals__), function.__name__, cells)
        return self._helpers["_make_function"], arguments, state, None, None, self._helpers["_set_function"]

    def _reduce_type_variable(self, value: Any) -> tuple[Any, ...]:
        options = {"bound": value.__bound__, "covariant": value.__covariant__, "contravariant": value.__contravariant__}
        return self._helpers["_make_type_variable"], (value.__name__, value.__constraints__, options)

    def _reduce_dataclass_mark(self, value: Any) -> Any:
        """Refer to the sentinels of the dataclasses module, which are compared by identity, by their names."""
        for name, mark in vars(sys.modules["dataclasses"]).items():
            if mark is value:
                return self._helpers["_get_attribute"], ("dataclasses", name)
        return NotImplemented

    def _reduce_class(self, made: Any) -> tuple[Any, ...]:
        for name, known in vars(types).items():
            if known is made:
                return self._helpers["_get_attribute"], ("types", name)
        if not made.__flags__ & _HEAP_TYPE:
            raise TypeError(f"type {made.__name__!r} has no name to import it by")
        parts: dict[str, Any] = dict(type.__dict__["__dict__"].__get__(made))
        initial = {name: parts[name] for name in _INITIAL if name in parts}
        if type(made) is type or not issubclass(type(made), enum.EnumMeta):
            maker: tuple[Any, ...] = (
                self._helpers["_make_class"],
                (type(made), made.__name__, made.__bases__, initial),
            )
        else:
            members = [(name, member.value) for name, member in made.__members__.items()]
            maker = (self._helpers["_make_enum"], (type(made), made.__name__, made.__bases__, initial, members))
            parts = {
                name: part
                for name, part in parts.items()
                if name not in made.__members__ and name not in _ENUM_DROPPED and not name.endswith("_map_")
            }
            parts = {name: part for name, part in parts.items() if not _belongs_to_enum(name)}
        state = {
            name: part
            for name, part in parts.items()
            if name not in _DROPPED and type(part) not in (types.MemberDescriptorType, types.GetSetDescriptorType)
        }
        return (*maker, state, None, None, self._helpers["_set_class"])


def _belongs_to_enum(name: str) -> bool:
    """Say whether the enum machinery makes this attribute itself."""
    made_names = ("_member_names_", "_member_type_", "_value_repr_", "_generate_next_value_", "_use_args_")
    return (
        name in made_names
        or name in ("_unhashable_values_", "_new_member_", "_boundary_", "_flag_mask_")
        or (name in ("_singles_mask_", "_all_bits_", "_inverted_", "_hashable_values_"))
    )


def _annotations_of(function: types.FunctionType) -> dict[str, Any]:
    try:
        return function.__annotations__
    except Exception:
        return {}
