"""Tools (docs/protocol.md), described from the prose and not from the TypeScript schemas."""

from __future__ import annotations

import keyword
from typing import Any, cast

from shape import Shape, above_zero, anything, flag, integer, many, matching, number, one_of, record, sized, table, text

_TYPES = ("object", "array", "string", "number", "integer", "boolean", "null")
_MODULE_NAMES = ("aio", "describe", "list", "ToolCancelled", "ToolError", "ToolTimeout")

identifier = sized(1, 128)


def json_schema(value: Any, path: str) -> list[str]:
    """A JSON Schema: an object whose keywords have the form that the standard gives them."""
    if isinstance(value, bool):
        return []
    if not isinstance(value, dict):
        return [f"{path}: wants a schema"]
    entries = cast("dict[str, Any]", value)
    kind = entries.get("type", "object")
    kinds = cast("list[Any]", kind) if isinstance(kind, list) else [kind]
    faults = [f"{path}.type: unknown" for one in kinds if one not in _TYPES]
    for name in ("properties", "$defs"):
        faults += table(json_schema)(entries.get(name, {}), f"{path}.{name}")
    if "items" in entries:
        faults += json_schema(entries["items"], f"{path}.items")
    return faults + many(text)(entries.get("required", []), f"{path}.required")


def arguments_schema(value: Any, path: str) -> list[str]:
    """A schema for an object, since a call has named arguments."""
    if not isinstance(value, dict):
        return [f"{path}: wants an object"]
    entries = cast("dict[str, Any]", value)
    return json_schema(entries, path) or one_of("object")(entries.get("type", "object"), f"{path}.type")


def python_name(name: str) -> str:
    """The identifier that Python calls a tool by."""
    made = name.replace("-", "_").replace(".", "_").replace(" ", "_")
    is_taken = keyword.iskeyword(made) or made in _MODULE_NAMES or made.startswith("__")
    return f"{made}_tool" if is_taken else made


_definition = record(
    name=matching(r"[A-Za-z_][A-Za-z0-9_.-]{0,63}"),
    description=(text,),
    input_schema=(arguments_schema,),
    output_schema=(json_schema,),
    timeout=above_zero,
    inject=flag,
)


offered = record(
    name=text,
    python_name=text,
    description=(text,),
    input_schema=(arguments_schema,),
    output_schema=(json_schema,),
    timeout=above_zero,
    inject=flag,
)


def definitions(value: Any, path: str) -> list[str]:
    """At most 128 tools with names apart."""
    faults = many(_definition)(value, path)
    if faults:
        return faults
    names = [python_name(tool["name"]) for tool in value]
    if len(names) > 128:
        return [f"{path}: wants at most 128"]
    return [] if len(set(names)) == len(names) else [f"{path}: two have one Python name"]


def one_answer(shape: Shape) -> Shape:
    """Either `value` or `error`."""

    def check(value: Any, path: str) -> list[str]:
        faults = shape(value, path)
        return faults or ([] if ("value" in value) != ("error" in value) else [f"{path}: wants value or error"])

    return check


failure = record(type=(text,), message=text, data=(anything,))
result = one_answer(record(call_id=identifier, value=(anything,), error=(failure,)))
result_message = one_answer(
    record(type=one_of("tool_result"), id=(identifier,), call_id=identifier, value=(anything,), error=(failure,))
)
bindings = record(tools=many(record(name=text, python_name=text)))
options: dict[str, tuple[Shape]] = {
    "tools": (definitions,),
    "max_tool_calls": (integer(0),),
    "max_parallel_tool_calls": (integer(1),),
}
status = one_of("ok", "error", "timed_out", "cancelled", "lost")
ended_calls = many(record(name=text, call_id=identifier, status=status))
_call: dict[str, Shape] = {
    "call_id": identifier,
    "name": text,
    "arguments": table(anything),
    "batch": text,
    "timeout": number,
}
pending_call = record(**_call, execution_id=identifier)
call_fields = _call
done_fields: dict[str, Shape] = {"call_id": identifier, "name": text, "status": status, "duration": number}
