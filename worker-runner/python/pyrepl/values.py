"""Owns describing the value of an execution: as JSON if JSON can hold it, and always as bounded text."""

from __future__ import annotations

from .guard import call_user
from .wire import to_json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

MAX_VALUE_CHARS = 1 << 20
MAX_REPR_CHARS = 1 << 16

_MAX_DEPTH = 100
_MAX_INT = 1 << 53
_INFINITY = float("inf")
_repr = repr


class _NotJson(Exception):
    """The value has parts that JSON cannot hold, or too many parts."""


def json_text(value: object) -> str | None:
    """Return the JSON text of `value`, or None if JSON cannot hold it.

    JSON is what is made of dict with str keys, list, tuple, str, int within 2**53, finite float, bool and None, all exactly
    of these types, so that no method of user code runs; at most 1 MiB of text and 100 levels.
    """
    kind = type(value)
    if kind is bool or (kind is int and -_MAX_INT <= value <= _MAX_INT):  # type: ignore[operator]
        return to_json(value)
    if kind not in (str, float, dict, list, tuple):
        return None
    try:
        _measure(value, MAX_VALUE_CHARS, 0)
        text = to_json(value)
    except (_NotJson, ValueError, TypeError, RuntimeError, RecursionError):
        return None
    return text if len(text) <= MAX_VALUE_CHARS else None


def _measure(value: Any, budget: int, depth: int) -> int:
    """Return the rest of `budget`, a lower bound of the JSON text's length."""
    kind = type(value)
    if kind is str:
        budget -= len(value) + 2
    elif kind is int:
        if not -_MAX_INT <= value <= _MAX_INT:
            raise _NotJson
        budget -= 1
    elif kind is float:
        if value != value or value in (_INFINITY, -_INFINITY):
            raise _NotJson
        budget -= 3
    elif kind is list or kind is tuple:
        budget = _measure_items(value, budget - 2, depth)
    elif kind is dict:
        for key in value:
            if type(key) is not str:
                raise _NotJson
            budget -= len(key) + 4
        budget = _measure_items(value.values(), budget - 2, depth)
    elif value is None or kind is bool:
        budget -= 4
    else:
        raise _NotJson
    if budget < 0:
        raise _NotJson
    return budget


def _measure_items(items: Any, budget: int, depth: int) -> int:
    if depth >= _MAX_DEPTH or len(items) > budget:
        raise _NotJson
    for item in items:
        budget = _measure(item, budget - 1, depth + 1)
    return budget


def type_name(value: object) -> str:
    """Return the name of the value's type, whatever its metaclass says."""
    return type.__dict__["__name__"].__get__(type(value))


def bounded(text: str, limit: int) -> str:
    """Return `text`; if it is longer than `limit` characters, its middle is replaced."""
    if len(text) <= limit:
        return text
    note = f"\n[... {len(text) - limit} characters left out ...]\n"
    half = (limit - len(note)) // 2
    return text[:half] + note + text[len(text) - half :]


def bounded_repr(value: Any, limit: int = MAX_REPR_CHARS) -> str:
    """Return `repr(value)` cut at `limit` characters; runs user code, and returns a substitute if that raises."""
    kind = type(value)
    if kind in (str, bytes, bytearray) and len(value) > limit:
        text = _repr(value[:limit])
        return text[: limit - 40] + f"… [{len(value)} long]"
    if kind in (list, tuple) and len(value) > limit:
        # Each item takes at least three characters: the first ones fill the limit.
        text = call_user(_repr, value[: limit // 2])
    else:
        try:
            text = call_user(_repr, value)
        except Exception as error:
            return f"<unprintable {type_name(value)} object: {type_name(error)}>"
    if type(text) is not str:
        text = str.__str__(text)
    if len(text) > limit:
        return text[: limit - 40] + f"… [{len(text)} characters]"
    return text
