"""A small language to describe JSON by, apart from the zod schemas, so that neither repeats the other's mistakes.

A shape is a function of a value and its path; it answers with what is wrong, one line each.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, cast

Shape = Callable[[Any, str], list[str]]


def _unless(holds: bool, path: str, wanted: str) -> list[str]:
    return [] if holds else [f"{path or 'value'}: wants {wanted}"]


def anything(_value: Any, _path: str) -> list[str]:
    """Any JSON."""
    return []


def text(value: Any, path: str) -> list[str]:
    """Any string."""
    return _unless(isinstance(value, str), path, "text")


def flag(value: Any, path: str) -> list[str]:
    """True or false."""
    return _unless(isinstance(value, bool), path, "true or false")


def number(value: Any, path: str) -> list[str]:
    """A number, which true and false are not."""
    return _unless(isinstance(value, int | float) and not isinstance(value, bool), path, "a number")


def above_zero(value: Any, path: str) -> list[str]:
    """A number greater than zero."""
    return number(value, path) or _unless(value > 0, path, "more than 0")


def integer(least: int | None = 0) -> Shape:
    """A whole number of at least `least`."""

    def check(value: Any, path: str) -> list[str]:
        is_whole = isinstance(value, int) and not isinstance(value, bool)
        return _unless(is_whole and (least is None or value >= least), path, f"a whole number from {least}")

    return check


def sized(least: int, most: int) -> Shape:
    """Text of so many characters."""
    return lambda value, path: (
        text(value, path) or _unless(least <= len(value) <= most, path, f"{least} to {most} long")
    )


def matching(pattern: str) -> Shape:
    """Text that the whole pattern fits."""
    return lambda value, path: text(value, path) or _unless(re.fullmatch(pattern, value) is not None, path, pattern)


def one_of(*words: str) -> Shape:
    """One of these texts."""
    return lambda value, path: _unless(isinstance(value, str) and value in words, path, " or ".join(words))


def maybe(shape: Shape) -> Shape:
    """Null, or what the shape says."""
    return lambda value, path: [] if value is None else shape(value, path)


def many(shape: Shape) -> Shape:
    """A list of such values."""

    def check(value: Any, path: str) -> list[str]:
        if not isinstance(value, list):
            return [f"{path}: wants a list"]
        items = cast("list[Any]", value)
        return [fault for index, item in enumerate(items) for fault in shape(item, f"{path}[{index}]")]

    return check


def table(shape: Shape) -> Shape:
    """An object with any names and such values."""

    def check(value: Any, path: str) -> list[str]:
        if not isinstance(value, dict):
            return [f"{path}: wants an object"]
        entries = cast("dict[str, Any]", value)
        return [fault for name, item in entries.items() for fault in shape(item, f"{path}.{name}")]

    return check


def record(**fields: Shape | tuple[Shape]) -> Shape:
    """An object with exactly these fields; a field in a tuple of one may be absent."""

    def check(value: Any, path: str) -> list[str]:
        if not isinstance(value, dict):
            return [f"{path or 'value'}: wants an object"]
        entries = cast("dict[str, Any]", value)
        faults = [f"{path}.{name}: unknown" for name in entries if name not in fields]
        for name, field in fields.items():
            shape = field[0] if isinstance(field, tuple) else field
            if name in entries:
                faults += shape(entries[name], f"{path}.{name}")
            elif not isinstance(field, tuple):
                faults.append(f"{path}.{name}: missing")
        return faults

    return check


def by_type(shapes: dict[str, Shape]) -> Shape:
    """One of several messages, told apart by `type`."""

    def check(value: Any, path: str) -> list[str]:
        if not isinstance(value, dict):
            return [f"{path or 'value'}: wants an object"]
        kind = cast("dict[str, Any]", value).get("type")
        if not isinstance(kind, str) or kind not in shapes:
            return [f"{path}.type: unknown"]
        return shapes[kind](cast("Any", value), path)

    return check
