"""Owns running one execution: from its text to the fields of its `result` or `error`."""

from __future__ import annotations

import _contextvars
import sys
import time
from types import CodeType

from .awaiting import Awaiter
from .guard import Guard, interruptible
from .mime import Bundle
from .source import SourceBook
from .tracebacks import describe, describe_plainly
from .values import bounded_repr, json_text
from .variables import Bindings

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, TypeAlias

_CO_COROUTINE = 0x80
_RESERVE_BYTES = 1 << 20
_eval = eval
_clock = time.perf_counter
_set_trace, _get_trace = sys.settrace, sys.gettrace
_set_profile, _get_profile = sys.setprofile, sys.getprofile

Fields: TypeAlias = "dict[str, Any]"


class _Tracing:
    """The trace and profile functions that user code set; they are suspended while our own frames run."""

    __slots__ = ("profile", "trace")

    def __init__(self) -> None:
        self.trace: Any = None
        self.profile: Any = None


class Executor:
    """Runs the executions of one live process in the user's namespace."""

    def __init__(self, namespace: dict[str, Any], builtins: Any, guard: Guard) -> None:
        self._namespace = namespace
        self._builtins = builtins
        self._guard = guard
        self.book = SourceBook()
        self.bindings = Bindings()
        self._awaiter = Awaiter()
        self.count = 0
        self._context: Any = _contextvars.Context()
        self._tracing = _Tracing()
        self._reserve: bytes | None = None
        self.mime_of: Callable[[Any], Bundle | None] = _no_mime
        self.after: Callable[[], None] = _nothing

    def execute(self, text: str) -> Fields:
        """Run `text`; returns the fields of the terminal message, with its `type` and `execution_time`."""
        self.count += 1
        if self._reserve is None:
            self._reserve = _take_reserve()
        filename = f"<execution {self.count}>"
        started = _clock()
        fields = self._guarded(text, filename)
        fields["execution_time"] = _clock() - started
        return fields

    def _guarded(self, text: str, filename: str) -> Fields:
        guard = self._guard
        # Two levels: a second interrupt may come while the first is being described.
        try:
            try:
                guard.is_running_user_code = True
                return self._run(text, filename)
            except MemoryError as error:
                self._reserve = None
                fields = self._context.run(describe, error)
                guard.is_running_user_code = False
            except BaseException as error:
                fields = self._context.run(describe, error)
                self._finish_quietly()
                guard.is_running_user_code = False
                self._remember(error)
        except BaseException as error:
            guard.is_running_user_code = False
            fields = describe_plainly(error)
        fields["type"] = "error"
        return fields

    def _finish_quietly(self) -> None:
        try:
            self.after()
        except Exception:
            return

    def _run(self, text: str, filename: str) -> Fields:
        body, last = self.book.compile(text, filename)
        namespace = self._namespace
        self.bindings.expect((body, last), namespace)
        if namespace.get("__builtins__") is not self._builtins:
            namespace["__builtins__"] = self._builtins
        if (body is not None and body.co_flags & _CO_COROUTINE) or (last is not None and last.co_flags & _CO_COROUTINE):
            value = self._awaiter.run(_evaluate_awaiting(body, last, namespace, self._tracing), self._context)
        else:
            value = None
            for code in (body, last):
                if code is not None:
                    value = self._context.run(_evaluate, code, namespace, self._tracing)
            if last is None:
                value = None
        self.after()
        fields: Fields = {"type": "result", "value": None, "repr": None}
        if value is not None:
            fields["value"] = json_text(value)
            fields["repr"] = self._context.run(bounded_repr, value)
            rich = self._context.run(self.mime_of, value)
            if rich is not None:
                fields["mime"] = rich[0]
            self._builtins._ = value
        self._guard.is_running_user_code = False
        return fields

    @interruptible
    def run_nested(self, text: str, filename: str) -> Any:
        """Run text that a magic of the running execution names; returns the value of its last expression."""
        value = None
        for code in self.book.compile(text, filename):
            value = None if code is None else _eval(code, self._namespace)
        return value

    def _remember(self, error: BaseException) -> None:
        """Set `sys.last_*` as the interactive interpreter does, for `pdb.pm()`."""
        sys.last_type, sys.last_value, sys.last_traceback = type(error), error, error.__traceback__
        if sys.version_info >= (3, 12):
            sys.last_exc = error


@interruptible
def _evaluate(code: CodeType, namespace: dict[str, Any], tracing: _Tracing) -> Any:
    if tracing.trace is not None:
        _set_trace(tracing.trace)
    if tracing.profile is not None:
        _set_profile(tracing.profile)
    try:
        return _eval(code, namespace)
    finally:
        # No call of ours before these lines: it would be traced.
        tracing.trace, tracing.profile = _get_trace(), _get_profile()
        _set_trace(None)
        _set_profile(None)


@interruptible
async def _evaluate_awaiting(
    body: CodeType | None, last: CodeType | None, namespace: dict[str, Any], tracing: _Tracing
) -> Any:
    """Evaluate both on the running loop; either of them may await."""
    value: Any = None
    try:
        for code in (body, last):
            if code is not None:
                value = _eval(code, namespace)
                if code.co_flags & _CO_COROUTINE:
                    value = await value
        return None if last is None else value
    finally:
        tracing.trace, tracing.profile = _get_trace(), _get_profile()
        _set_trace(None)
        _set_profile(None)


def _take_reserve() -> bytes | None:
    """Reserve memory for reporting a MemoryError. Its zeroed pages take no memory until they are touched."""
    try:
        return bytes(_RESERVE_BYTES)
    except MemoryError:
        return None


def _no_mime(_value: Any) -> Bundle | None:
    return None


def _nothing() -> None:
    return None
