"""Owns the tools that a client offers (protocol, section 13): functions, and what the service is told of them."""

from __future__ import annotations

import inspect
import typing
from dataclasses import dataclass
from typing import Any, Callable, Dict, Iterable, List, Mapping, Optional, Union

ToolFunction = Callable[..., Any]

_JSON_TYPES: Mapping[Any, Dict[str, Any]] = {
    str: {"type": "string"},
    int: {"type": "integer"},
    float: {"type": "number"},
    bool: {"type": "boolean"},
    type(None): {"type": "null"},
    list: {"type": "array"},
    dict: {"type": "object"},
}


@dataclass(frozen=True)
class Tool:
    """A function that code in the session may call by `name`.

    Attributes:
        input_schema: JSON Schema of the arguments; made of the signature's type hints where absent.
        timeout: seconds that a call may take.
        inject: whether the bare name is bound in the session, beside `tools.name`.
    """

    name: str
    function: ToolFunction
    description: str = ""
    input_schema: Optional[Mapping[str, Any]] = None
    output_schema: Optional[Mapping[str, Any]] = None
    timeout: Optional[float] = None
    inject: bool = False

    def declaration(self) -> Dict[str, Any]:
        """Return what the service is told."""
        fields: Dict[str, Any] = {
            "name": self.name,
            "description": self.description or None,
            "input_schema": schema_of(self.function) if self.input_schema is None else self.input_schema,
            "output_schema": self.output_schema,
            "timeout": self.timeout,
            "inject": self.inject or None,
        }
        return {name: value for name, value in fields.items() if value is not None}


def tool_of(function: Union[ToolFunction, Tool], **options: Any) -> Tool:
    """Return a function as a tool: its name and docstring, unless `options` say otherwise."""
    if isinstance(function, Tool):
        return function
    given = {name: value for name, value in options.items() if value is not None}
    fields: Dict[str, Any] = {
        "name": getattr(function, "__name__", "tool"),
        "description": inspect.getdoc(function) or "",
        **given,
        "function": function,
    }
    return Tool(**fields)


def schema_of(function: ToolFunction) -> Dict[str, Any]:
    """Return the JSON Schema of a function's arguments.

    >>> def search(query: str, limit: int = 10): ...
    >>> schema_of(search)["properties"]
    {'query': {'type': 'string'}, 'limit': {'type': 'integer', 'default': 10}}
    >>> schema_of(search)["required"]
    ['query']
    """
    try:
        hints = typing.get_type_hints(function)
    except (NameError, TypeError):
        hints = {}
    properties: Dict[str, Any] = {}
    required: List[str] = []
    takes_more = False
    for name, parameter in inspect.signature(function).parameters.items():
        if parameter.kind is inspect.Parameter.VAR_KEYWORD:
            takes_more = True
        elif parameter.kind in (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.POSITIONAL_ONLY):
            raise TypeError(f"a tool takes its arguments by name, so {name!r} of {function!r} cannot be one")
        else:
            properties[name] = _schema_of_hint(hints.get(name, Any))
            if parameter.default is inspect.Parameter.empty:
                required.append(name)
            elif isinstance(parameter.default, (str, int, float, bool)):
                properties[name]["default"] = parameter.default
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": takes_more}


def _schema_of_hint(hint: Any) -> Dict[str, Any]:
    if hint in _JSON_TYPES:
        return dict(_JSON_TYPES[hint])
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin is typing.Literal:
        return {"enum": list(args)}
    # `int | None` has an origin of its own from Python 3.10 on; its arguments say the same.
    if origin is Union or type(hint).__name__ == "UnionType":
        return {"anyOf": [_schema_of_hint(arg) for arg in args]}
    if origin in (list, tuple, set):
        items = [_schema_of_hint(arg) for arg in args if arg is not Ellipsis]
        return {"type": "array", "items": items[0]} if len(items) == 1 else {"type": "array"}
    return {"type": "object"} if origin is dict else {}


class ToolBox:
    """Tools by name. `version` changes with them."""

    def __init__(self, tools: Iterable[Union[ToolFunction, Tool]] = ()) -> None:
        self._tools: Dict[str, Tool] = {}
        self.version = 0
        for one in tools:
            self.add(tool_of(one))

    def add(self, tool: Tool) -> None:
        """Add a tool, in place of one with the same name."""
        self._tools[tool.name] = tool
        self.version += 1

    def get(self, name: str) -> Optional[Tool]:
        """Return the tool of that name."""
        return self._tools.get(name)

    def declarations(self) -> List[Dict[str, Any]]:
        """Return what the service is told of all."""
        return [tool.declaration() for tool in list(self._tools.values())]
