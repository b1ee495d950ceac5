"""Owns the arguments of a tool call: their names by the tool's schema, their signature, and their JSON."""

from __future__ import annotations

from .values import type_name
from .wire import to_json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .messages import ToolDefinition

MAX_ARGUMENTS_BYTES = 1 << 20
_MAX_DEPTH = 100
_MAX_INT = 1 << 53
_INFINITY = float("inf")
_TYPES: dict[str, type] = {
    "string": str,
    "integer": int,
    "number": float,
    "boolean": bool,
    "array": list,
    "object": dict,
    "null": type(None),
}


def bind(tool: ToolDefinition, positional: tuple[Any, ...], named: dict[str, Any]) -> dict[str, Any]:
    """Return the arguments by name. TypeError where they do not fit the schema's names, as for any function."""
    schema = tool.get("input_schema") or {}
    properties: dict[str, Any] = schema.get("properties") or {}
    name = tool["python_name"]
    if len(positional) > len(properties):
        raise TypeError(f"{name}() takes {len(properties)} positional arguments but {len(positional)} were given")
    arguments = dict(zip(properties, positional, strict=False))
    for key, value in named.items():
        if key in arguments:
            raise TypeError(f"{name}() got multiple values for argument {key!r}")
        if key not in properties and not _takes_more(schema):
            raise TypeError(f"{name}() got an unexpected keyword argument {key!r}")
        arguments[key] = value
    missing = [key for key in schema.get("required", ()) if key not in arguments]
    if missing:
        raise TypeError(f"{name}() is missing required arguments: {', '.join(map(repr, missing))}")
    return arguments


def encode(name: str, arguments: dict[str, Any]) -> str:
    """Return the arguments as JSON text; TypeError if they are not JSON, ValueError if they are too large."""
    text = to_json({key: _plain(value, key, 0) for key, value in arguments.items()})
    # The limit counts UTF-8, in which other characters than ASCII are shorter than their escapes.
    if len(text) > MAX_ARGUMENTS_BYTES:
        size = len(text.encode("ascii").decode("unicode_escape").encode("utf-8", "surrogatepass"))
        if size > MAX_ARGUMENTS_BYTES:
            raise ValueError(f"the arguments of {name} have more than {MAX_ARGUMENTS_BYTES} bytes as JSON")
    return text


def _plain(value: Any, path: str, depth: int) -> Any:
    """Return the value made of exact JSON types, so that no method of user code runs while it is encoded."""
    kind = type(value)
    if value is None or kind is bool:
        return value
    if issubclass(kind, str):
        return str.__str__(value)
    if issubclass(kind, int):
        number = int.__index__(value)
        if not -_MAX_INT <= number <= _MAX_INT:
            raise TypeError(f"{path}: an int beyond 2**53 is not exact in JSON")
        return number
    if issubclass(kind, float):
        real = float.__float__(value)
        if real != real or real in (_INFINITY, -_INFINITY):
            raise TypeError(f"{path}: {real} is not JSON")
        return real
    if depth == _MAX_DEPTH:
        raise TypeError(f"{path}: JSON may have {_MAX_DEPTH} levels here")
    if issubclass(kind, dict):
        return {_key(key, path): _plain(item, f"{path}.{key}", depth + 1) for key, item in dict.items(value)}
    if issubclass(kind, list):
        return [_plain(item, f"{path}[{index}]", depth + 1) for index, item in enumerate(list.__iter__(value))]
    if issubclass(kind, tuple):
        return [_plain(item, f"{path}[{index}]", depth + 1) for index, item in enumerate(tuple.__iter__(value))]
    raise TypeError(f"{path}: {type_name(value)} is not JSON")


def _key(key: Any, path: str) -> str:
    if not issubclass(type(key), str):
        raise TypeError(f"{path}: a key of type {type_name(key)} is not JSON")
    return str.__str__(key)


def _takes_more(schema: dict[str, Any]) -> bool:
    """Say whether names beside the properties are allowed: the schema says so, or names no properties."""
    return schema.get("additionalProperties", not schema.get("properties")) is not False


def make_signature(tool: ToolDefinition, inspect: Any) -> Any:
    """Return the `inspect.Signature` that the schema describes."""
    schema = tool.get("input_schema") or {}
    required = set(schema.get("required", ()))
    parameters: list[Any] = []
    has_odd_names = False
    for name, about in (schema.get("properties") or {}).items():
        details: dict[str, Any] = about if isinstance(about, dict) else {}
        if not name.isidentifier():
            has_odd_names = True
            continue
        default = inspect.Parameter.empty if name in required else details.get("default")
        parameters.append(
            inspect.Parameter(
                name, inspect.Parameter.POSITIONAL_OR_KEYWORD, default=default, annotation=_annotation(details, inspect)
            )
        )
    if has_odd_names or _takes_more(schema):
        parameters.append(inspect.Parameter("arguments", inspect.Parameter.VAR_KEYWORD))
    output = tool.get("output_schema")
    returns = _annotation(output, inspect) if isinstance(output, dict) else inspect.Signature.empty
    # The schema may list a required argument after an optional one; Python refuses that order.
    return inspect.Signature(parameters, return_annotation=returns, __validate_parameters__=False)


def _annotation(schema: dict[str, Any], inspect: Any) -> Any:
    kind = schema.get("type")
    found = _TYPES.get(kind) if isinstance(kind, str) else None
    return inspect.Parameter.empty if found is None else found


def make_doc(tool: ToolDefinition) -> str:
    """Return the text that `help` shows: the description, then each argument as the schema describes it."""
    schema = tool.get("input_schema") or {}
    lines = [tool.get("description") or f"The client's tool {tool['name']}."]
    described = [
        f"    {name}: {about['description']}"
        for name, about in (schema.get("properties") or {}).items()
        if isinstance(about, dict) and isinstance(about.get("description"), str)
    ]
    if described:
        lines += ["", "Arguments:", *described]
    return "\n".join(lines)
