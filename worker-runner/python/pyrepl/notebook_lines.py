"""Owns rewriting lines of a notebook (`!command`, `%magic`, `name?`) as Python that calls `magics.py`.

Only text that is not Python comes here, and only the line that the compiler names is rewritten. So a line inside a string that
looks like a magic stays as it is, and plain Python pays nothing.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

HELPER = "__notebook__"
"""The name in builtins under which rewritten lines find the magics."""


def rewrite(text: str, compile_text: Callable[[str], Any]) -> str | None:
    """Return `text` as Python; None if it is neither Python nor that of a notebook.

    `compile_text` raises SyntaxError as long as the text is not Python.
    """
    cell = _rewrite_cell(text)
    if cell is not None:
        return cell
    lines = text.split("\n")
    for _ in range(len(lines) + 1):
        try:
            compile_text("\n".join(lines))
        except SyntaxError as error:
            at = (error.lineno or 0) - 1
            if not 0 <= at < len(lines):
                return None
            rewritten = _rewrite_line(lines[at])
            if rewritten is None:
                return None
            lines[at] = rewritten
        else:
            return "\n".join(lines)
    return None


def _rewrite_cell(text: str) -> str | None:
    """Return the call of a cell magic, whose first line is `%%name arguments` and whose body is the rest."""
    stripped = text.lstrip()
    if not stripped.startswith("%%"):
        return None
    first, _, body = stripped.partition("\n")
    name, _, arguments = first[2:].strip().partition(" ")
    return f"{HELPER}.cell({name!r}, {arguments.strip()!r}, {body!r})"


def _rewrite_line(line: str) -> str | None:
    stripped = line.strip()
    indent = line[: len(line) - len(line.lstrip())]
    target = ""
    call = _call_of(stripped)
    if call is None:
        left, equals, right = stripped.partition("=")
        if not equals or not _is_target(left.strip()):
            return None
        right = right.strip()
        call = f"{HELPER}.get_output({right[1:]!r})" if right.startswith("!") else _call_of(right)
        if call is None or not right.startswith(("!", "%")):
            return None
        target = left.strip() + " = "
    return indent + target + call


def _call_of(text: str) -> str | None:
    if text.startswith("!!"):
        return f"{HELPER}.get_output({text[2:]!r})"
    if text.startswith("!"):
        return f"{HELPER}.system({text[1:]!r})"
    if text.startswith("%") and text[1:2].isalpha():
        name, _, arguments = text[1:].partition(" ")
        return f"{HELPER}.line({name!r}, {arguments.strip()!r})"
    name = text.strip("?")
    if text != name and text.count("?") <= 2 and _is_target(name):
        return f"{HELPER}.explain({name!r}, {text.count('?') == 2})"
    return None


def _is_target(text: str) -> bool:
    return bool(text) and all(part.strip().isidentifier() for part in text.replace(",", ".").split("."))
