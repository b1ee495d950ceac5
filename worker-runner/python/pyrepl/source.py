"""Owns compiling an execution's text, and keeps the text for tracebacks."""

from __future__ import annotations
import __future__

import _ast
from types import CodeType

from .library import LIBRARY
from .notebook_lines import rewrite

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_TOP_LEVEL_AWAIT: int = _ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
_ONLY_AST: int = _ast.PyCF_ONLY_AST
_FUTURE_FLAGS: tuple[int, ...] = tuple(
    getattr(__future__, name).compiler_flag for name in ("annotations", "barry_as_FLUFL")
)
_ALL_FUTURE_FLAGS = sum(_FUTURE_FLAGS)
_MAX_KEPT_CHARS = 8 << 20
_MAX_KEPT = 4096

_compile = compile
_Expr = _ast.Expr
_Expression = _ast.Expression


class SourceBook:
    """The sources of a session's executions. Beyond 8 Mi characters, the oldest are dropped."""

    __slots__ = ("_kept", "_kept_chars", "future")

    def __init__(self) -> None:
        self.future = 0
        self._kept: dict[str, str] = {}
        self._kept_chars = 0

    def compile(self, text: str, filename: str) -> tuple[CodeType | None, CodeType | None]:
        """Return the code of the statements and of the last expression, if there is one; `from __future__` stays in force.

        Text that is not Python is tried once more with the lines of notebooks understood.
        """
        self._keep(text, filename)
        flags = self.future | _TOP_LEVEL_AWAIT
        try:
            tree: Any = _compile(text, filename, "exec", flags | _ONLY_AST, True)
        except SyntaxError:
            python = rewrite(text, lambda lines: _compile(lines, filename, "exec", flags | _ONLY_AST, True))
            if python is None:
                raise
            text = python
            tree = _compile(text, filename, "exec", flags | _ONLY_AST, True)
        statements: list[Any] = tree.body
        last: CodeType | None = None
        if statements and type(statements[-1]) is _Expr:
            last = _compile(_Expression(statements.pop().value), filename, "eval", flags, True)
        body: CodeType | None = None
        if statements:
            whole: CodeType = _compile(tree, filename, "exec", flags, True)
            body = whole
            self._note_future(whole.co_flags)
            if last is not None and self.future | _TOP_LEVEL_AWAIT != flags:
                return self._compile_again(text, filename)
        return body, last

    def export(self, max_chars: int) -> dict[str, str]:
        """Return the newest sources by file name."""
        exported: dict[str, str] = {}
        for filename in reversed(list(self._kept)):
            text = self._kept[filename]
            max_chars -= len(text)
            if max_chars < 0:
                break
            exported[filename] = text
        return exported

    def adopt(self, sources: dict[str, str], future: int) -> None:
        """Add the sources of the session that this one continues."""
        for filename in reversed(list(sources)):
            self._keep(str(sources[filename]), filename)
        self.future |= future & _ALL_FUTURE_FLAGS

    def _compile_again(self, text: str, filename: str) -> tuple[CodeType | None, CodeType | None]:
        flags = self.future | _TOP_LEVEL_AWAIT
        tree: Any = _compile(text, filename, "exec", flags | _ONLY_AST, True)
        last = _compile(_Expression(tree.body.pop().value), filename, "eval", flags, True)
        return _compile(tree, filename, "exec", flags, True), last

    def _note_future(self, code_flags: int) -> None:
        for flag in _FUTURE_FLAGS:
            if code_flags & flag:
                self.future |= flag

    def fill(self, linecache: Any) -> None:
        """Put all sources into the linecache module, where tracebacks and `inspect.getsource` look."""
        for filename, text in self._kept.items():
            linecache.cache[filename] = _line_cache_entry(text, filename)

    def _keep(self, text: str, filename: str) -> None:
        cache: Any = getattr(LIBRARY.loaded("linecache"), "cache", None)
        if type(cache) is dict:
            cache[filename] = _line_cache_entry(text, filename)
        self._kept[filename] = text
        self._kept_chars += len(text)
        while self._kept_chars > _MAX_KEPT_CHARS or len(self._kept) > _MAX_KEPT:
            oldest = next(iter(self._kept))
            self._kept_chars -= len(self._kept.pop(oldest))
            if type(cache) is dict:
                cache.pop(oldest, None)


def _line_cache_entry(text: str, filename: str) -> tuple[int, None, list[str], str]:
    lines = text.splitlines(True)
    if lines and not lines[-1].endswith("\n"):
        lines[-1] += "\n"
    return len(text), None, lines, filename
