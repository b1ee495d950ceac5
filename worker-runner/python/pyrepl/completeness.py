"""Owns deciding whether a text is a complete piece of Python or needs more lines."""

from __future__ import annotations

from .library import LIBRARY
from .notebook_lines import rewrite

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_CLOSING = ("return", "raise", "pass", "break", "continue")


def completeness(code: str) -> dict[str, Any]:
    """Return `status` (`complete`, `incomplete` with `indent`, `invalid`) of `code` as typed so far."""
    ast, codeop = LIBRARY.load("ast"), LIBRARY.load("codeop")
    compiler = codeop.CommandCompiler()
    compiler.compiler.flags |= ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
    try:
        try:
            compiled = compiler(code, "<input>", "exec")
        except SyntaxError:
            flags: int = compiler.compiler.flags

            def compile_text(text: str) -> None:
                compile(text, "<input>", "exec", flags, True)

            python = rewrite(code, compile_text)
            if python is None:
                raise
            compiled = compiler(python, "<input>", "exec")
    except (SyntaxError, ValueError, OverflowError, MemoryError, RecursionError):
        return {"status": "invalid"}
    if compiled is None or _is_inside_block(code):
        return {"status": "incomplete", "indent": _next_indent(code)}
    return {"status": "complete"}


def _is_inside_block(code: str) -> bool:
    """Say whether the last line belongs to a block that could continue."""
    lines = code.split("\n")
    return len(lines) > 1 and lines[-1].strip() != "" and lines[-1][0] in " \t" and _last_statement_is_block(code)


def _last_statement_is_block(code: str) -> bool:
    ast = LIBRARY.load("ast")
    try:
        body = ast.parse(code).body
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        return False
    return bool(body) and hasattr(body[-1], "body")


def _next_indent(code: str) -> str:
    lines = [line for line in code.split("\n") if line.strip()]
    if not lines:
        return ""
    last = lines[-1]
    indent = last[: len(last) - len(last.lstrip())]
    words = last.split("#")[0].split()
    if words and words[-1].endswith(":"):
        return indent + "    "
    if words and words[0] in _CLOSING:
        return indent[:-4]
    return indent
