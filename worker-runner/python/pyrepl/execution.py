"""Owns one execution from its text to the fields of its `result` or `error`."""

import sys
import time
from types import CodeType
from typing import Any, Callable, Dict, Optional

from .awaiting import Awaiter
from .guard import Guard, interruptible
from .mime import Bundle
from .source import SourceBook
from .tracebacks import describe, describe_plainly
from .values import bounded_repr, json_text

_CO_COROUTINE = 0x80
_eval = eval
_clock = time.perf_counter
_set_trace, _get_trace = sys.settrace, sys.gettrace
_set_profile, _get_profile = sys.setprofile, sys.getprofile

Fields = Dict[str, Any]


class Executor:
    """Runs the executions of one live process in the user's namespace."""

    def __init__(self, namespace: Dict[str, Any], builtins: Any, guard: Guard) -> None:
        self._namespace = namespace
        self._builtins = builtins
        self._guard = guard
        self.book = SourceBook()
        self._awaiter = Awaiter()
        self.count = 0
        self._trace: Any = None
        self._profile: Any = None
        self.mime_of: Callable[[Any], Optional[Bundle]] = _no_mime
        self.after: Callable[[], None] = _nothing

    def execute(self, text: str) -> Fields:
        """Run `text`; returns the fields of the terminal message, with its `type` and `execution_time`."""
        self.count += 1
        filename = f"<execution {self.count}>"
        started = _clock()
        fields = self._guarded(text, filename)
        fields["execution_time"] = _clock() - started
        return fields

    def _guarded(self, text: str, filename: str) -> Fields:
        guard = self._guard
        # Two levels: a second interrupt may come while the first is being told.
        try:
            try:
                guard.is_running_user_code = True
                return self._run(text, filename)
            except BaseException as error:
                self._untrace()
                fields = describe(error)
                self._finish_quietly()
                guard.is_running_user_code = False
                self._remember(error)
        except BaseException as error:
            guard.is_running_user_code = False
            self._untrace()
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
        if namespace.get("__builtins__") is not self._builtins:
            namespace["__builtins__"] = self._builtins
        self._retrace()
        if (body is not None and body.co_flags & _CO_COROUTINE) or (last is not None and last.co_flags & _CO_COROUTINE):
            value = self._awaiter.run(_evaluate_awaiting(body, last, namespace))
        else:
            if body is not None:
                _evaluate(body, namespace)
            value = None if last is None else _evaluate(last, namespace)
        self._untrace()
        self.after()
        fields: Fields = {"type": "result", "value": None, "repr": None}
        if value is not None:
            fields["value"] = json_text(value)
            fields["repr"] = bounded_repr(value)
            rich = self.mime_of(value)
            if rich is not None:
                fields["mime"] = rich[0]
            self._builtins._ = value
        self._guard.is_running_user_code = False
        return fields

    def _retrace(self) -> None:
        if self._trace is not None:
            _set_trace(self._trace)
        if self._profile is not None:
            _set_profile(self._profile)

    def _untrace(self) -> None:
        """Keep a trace or profile function of user code away from ours."""
        self._trace, self._profile = _get_trace(), _get_profile()
        _set_trace(None)
        _set_profile(None)

    def _remember(self, error: BaseException) -> None:
        """Leave the error where the interactive interpreter leaves it, for `pdb.pm()`."""
        sys.last_type, sys.last_value, sys.last_traceback = type(error), error, error.__traceback__
        if sys.version_info >= (3, 12):
            sys.last_exc = error


@interruptible
def _evaluate(code: CodeType, namespace: Dict[str, Any]) -> Any:
    return _eval(code, namespace)


@interruptible
async def _evaluate_awaiting(body: Optional[CodeType], last: Optional[CodeType], namespace: Dict[str, Any]) -> Any:
    """Evaluate both on the running loop, whichever of them awaits."""
    value: Any = None
    for code in (body, last):
        if code is not None:
            value = _eval(code, namespace)
            if code.co_flags & _CO_COROUTINE:
                value = await value
    return None if last is None else value


def _no_mime(_value: Any) -> Optional[Bundle]:
    return None


def _nothing() -> None:
    return None
