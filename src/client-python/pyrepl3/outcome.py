"""Owns the outcome of an execution: what its events add up to."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Dict, List, Mapping, Optional, Tuple

from .errors import ExecutionFailedError
from .events import (
    AnyEvent,
    Display,
    ExecutionError,
    Output,
    OutputTruncated,
    Result,
)

_STATUS_BY_REASON = {
    "exception": "failed",
    "output_limit": "failed",
    "timeout": "timed_out",
    "cancelled": "cancelled",
    "interrupted": "cancelled",
    "out_of_memory": "crashed",
    "process_died": "crashed",
    "runner_lost": "lost",
}


@dataclass(frozen=True)
class FileChange:
    """A file that an execution with `report_files` changed; `change` is `created`, `modified` or `deleted`."""

    path: str
    change: str
    size: int


@dataclass(frozen=True)
class Outcome:
    """How an execution ended, and what it said until then.

    Attributes:
        execution_id: its id.
        status: `succeeded`, `failed`, `timed_out`, `cancelled`, `crashed` or `lost`.
        value: the last expression's value where it is JSON, else None.
        repr: the last expression's text, or None.
        mime: the value's rich forms by media type.
        displays: what was displayed, in order; an update of an earlier display is an entry of its own.
        files: changed files, where `report_files` was asked for.
        error: what went wrong, with its traceback; None where nothing did.
        transaction: `committed` or `rolled_back`.
        execution_time: seconds.
        tool_calls: `name`, `call_id` and `status` of the tools that were called.
        restored: what happened to the state before this execution, or None.
        is_output_truncated: whether some output is missing here.
    """

    execution_id: str
    status: str
    value: Any
    repr: Optional[str]
    mime: Mapping[str, str]
    stdout: str
    stderr: str
    displays: List[Display]
    files: List[FileChange]
    error: Optional[ExecutionError]
    transaction: str
    execution_time: float
    tool_calls: List[Dict[str, Any]] = field(default_factory=list)
    restored: Optional[Mapping[str, Any]] = None
    is_output_truncated: bool = False

    @property
    def has_succeeded(self) -> bool:
        """Whether the code ended without an error."""
        return self.error is None

    def check(self) -> Outcome:
        """Return this outcome, or raise `ExecutionFailedError` where the code ended in an error."""
        if self.error is not None:
            raise ExecutionFailedError(self)
        return self


class OutcomeCollector:
    """Adds up the events of one execution."""

    def __init__(self, execution_id: str) -> None:
        self.execution_id = execution_id
        self.outcome: Optional[Outcome] = None
        self.is_output_truncated = False
        self._text: Dict[str, List[str]] = {"stdout": [], "stderr": []}
        self._displays: List[Display] = []

    def add(self, event: AnyEvent) -> None:
        """Take in the next event."""
        if isinstance(event, Output):
            self._text.setdefault(event.stream, []).append(event.text)
        elif isinstance(event, Display):
            self._displays.append(event)
        elif isinstance(event, OutputTruncated):
            self.is_output_truncated = True
        elif isinstance(event, (Result, ExecutionError)):
            self.outcome = self._end(event)

    def _end(self, event: AnyEvent) -> Outcome:
        status, error, shown = _ending(event)
        data = event.data
        files = [
            FileChange(entry["path"], entry["change"], int(entry.get("size") or 0)) for entry in data.get("files", [])
        ]
        return Outcome(
            execution_id=self.execution_id,
            status=status,
            value=None if shown is None else shown.value,
            repr=None if shown is None else shown.repr,
            mime={} if shown is None else shown.mime,
            stdout="".join(self._text["stdout"]),
            stderr="".join(self._text["stderr"]),
            displays=list(self._displays),
            files=files,
            error=error,
            transaction=str(data.get("transaction", "")),
            execution_time=float(data.get("execution_time", 0.0)),
            tool_calls=list(data.get("tool_calls", [])),
            restored=data.get("restored"),
            is_output_truncated=self.is_output_truncated,
        )


def _ending(event: AnyEvent) -> Tuple[str, Optional[ExecutionError], Optional[Result]]:
    if isinstance(event, ExecutionError):
        # Python's own MemoryError, with the state kept, is an exception like any other.
        is_python_error = event.reason == "out_of_memory" and event.state == "kept"
        return "failed" if is_python_error else _STATUS_BY_REASON.get(event.reason, "failed"), event, None
    return "succeeded", None, event if isinstance(event, Result) else None
