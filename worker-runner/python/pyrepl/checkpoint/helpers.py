"""Owns the functions that checkpoint pickles call by name, to rebuild functions, classes and references to the session."""

from __future__ import annotations

import enum
import functools
import marshal
import types

from ..library import LIBRARY

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any, TypeAlias

HELPER_MODULE = "pyrepl_checkpoint"
"""The module name under which pickles refer to these functions; only our unpickler resolves it."""

Helper: TypeAlias = "Callable[..., Any]"


def make_helpers(namespace: dict[str, Any], streams: Sequence[Any]) -> dict[str, Helper]:
    """Return the helpers by name, bound to one session's namespace and streams."""

    def get_namespace(module_name: str) -> dict[str, Any]:
        return namespace if module_name == "__main__" else vars(LIBRARY.import_for_user(module_name))

    def get_stream(index: int) -> Any:
        return streams[index]

    bound: tuple[Helper, ...] = (get_namespace, get_stream)
    return {function.__name__: function for function in (*bound, *_UNBOUND)}


def make_helper_module(helpers: dict[str, Helper]) -> types.ModuleType:
    """Return a module of the helpers, through which a pickler finds their names."""
    module = types.ModuleType(HELPER_MODULE)
    for name, function in helpers.items():
        function.__module__ = HELPER_MODULE
        function.__qualname__ = name
        setattr(module, name, function)
    return module


def _import_module(name: str) -> Any:
    return LIBRARY.import_for_user(name)


def _make_cell() -> types.CellType:
    return types.CellType()


def _make_function(code: bytes, namespace: dict[str, Any], name: str, cells: Any) -> types.FunctionType:
    return types.FunctionType(marshal.loads(code), namespace, name, None, cells)


def _set_function(function: types.FunctionType, state: dict[str, Any]) -> None:
    contents = state.pop("cells")
    attributes = state.pop("attributes")
    for name, value in state.items():
        setattr(function, name, value)
    function.__dict__.update(attributes)
    cells: Any = function.__closure__
    for index, value in contents.items():
        cells[index].cell_contents = value


def _make_class(metaclass: Any, name: str, bases: tuple[Any, ...], initial: dict[str, Any]) -> Any:
    return metaclass(name, bases, dict(initial))


def _make_enum(metaclass: Any, name: str, bases: tuple[Any, ...], initial: dict[str, Any], members: Any) -> Any:
    body: Any = metaclass.__prepare__(name, bases)
    for key, value in (*initial.items(), *members):
        body[key] = value
    made: enum.EnumMeta = metaclass.__new__(metaclass, name, bases, body)
    return made


def _set_class(made: type, attributes: dict[str, Any]) -> None:
    for name, value in attributes.items():
        type.__setattr__(made, name, value)


def _make_type_variable(name: str, constraints: tuple[Any, ...], options: dict[str, Any]) -> Any:
    made = LIBRARY.load("typing").TypeVar(name, *constraints, **options)
    made.__module__ = "__main__"
    return made


def _get_attribute(module_name: str, name: str) -> Any:
    return getattr(LIBRARY.import_for_user(module_name), name)


def _make_cached(function: Any, maxsize: int | None, typed: bool) -> Any:
    """Make a new lru_cache wrapper; its cache is empty."""
    return functools.lru_cache(maxsize, typed)(function)


_UNBOUND: tuple[Helper, ...] = (
    _get_attribute,
    _make_cached,
    _make_type_variable,
    _import_module,
    _make_cell,
    _make_function,
    _set_function,
    _make_class,
    _make_enum,
    _set_class,
)
