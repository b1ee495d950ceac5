"""Owns the events of an execution as Python objects (protocol, section 5)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Dict, List, Mapping, Optional, Union


@dataclass(frozen=True)
class Event:
    """What every event has.

    Attributes:
        type: its name on the wire.
        seq: its position in the session's life; it strictly increases.
        execution_id: the execution that reported it.
        timestamp: Unix seconds.
        data: all of its fields as they came.
    """

    type: str
    seq: int
    execution_id: str
    timestamp: float
    data: Mapping[str, Any] = field(repr=False, compare=False)


@dataclass(frozen=True)
class Output(Event):
    """Text that code wrote; `stream` is `stdout` or `stderr`."""

    text: str
    stream: str


@dataclass(frozen=True)
class Display(Event):
    """A rich value: `mime` has text by media type, base64 for binary types."""

    mime: Mapping[str, str]
    metadata: Mapping[str, Any]
    display_id: Optional[str]
    update: bool


@dataclass(frozen=True)
class ClearOutput(Event):
    """What was shown so far should go; with `wait` only once something new comes."""

    wait: bool


@dataclass(frozen=True)
class InputRequest(Event):
    """Code called `input()`; `password` asks not to show what is typed. `timeout` is in seconds."""

    input_id: str
    prompt: str
    password: bool
    timeout: float


@dataclass(frozen=True)
class ToolCall(Event):
    """Code called a tool of the client."""

    call_id: str
    name: str
    arguments: Mapping[str, Any]
    batch: Optional[str]
    timeout: Optional[float]


@dataclass(frozen=True)
class ToolDone(Event):
    """A tool call is over; `status` is `ok`, `error`, `timed_out`, `cancelled` or `lost`."""

    call_id: str
    name: str
    status: str


@dataclass(frozen=True)
class OutputTruncated(Event):
    """Some output is no longer kept, or was withheld."""

    dropped_bytes: int
    reason: str


@dataclass(frozen=True)
class Result(Event):
    """The execution ended well. `value` is None where the value is not JSON; `repr` is its text."""

    value: Any
    repr: Optional[str]
    mime: Mapping[str, str]
    execution_time: float
    transaction: str


@dataclass(frozen=True)
class ExecutionError(Event):
    """The execution ended in an error.

    Attributes:
        reason: `exception`, `timeout`, `cancelled`, `interrupted`, `out_of_memory`, `process_died`, `runner_lost`
            or `output_limit`.
        state: what the session's state is now: `kept`, `rolled_back`, `recovered`, `restored` or `fresh`.
        lost_executions: those that the restored state does not have.
    """

    exception_type: str
    message: str
    traceback: str
    reason: str
    execution_time: float
    transaction: str
    state: str
    state_checkpoint_id: Optional[str]
    lost_executions: List[str]


@dataclass(frozen=True)
class UnknownEvent(Event):
    """An event of a type that this version does not know; `data` has its fields."""


AnyEvent = Union[
    Output,
    Display,
    ClearOutput,
    InputRequest,
    ToolCall,
    ToolDone,
    OutputTruncated,
    Result,
    ExecutionError,
    UnknownEvent,
]


def is_terminal(event: Event) -> bool:
    """Return whether the event ends its execution."""
    return isinstance(event, (Result, ExecutionError))


def parse_event(message: Mapping[str, Any]) -> AnyEvent:
    """Return the event of a message that carries a `seq`; fields that are not known stay in `data`."""
    data: Mapping[str, Any] = message["data"]
    kind = str(message["type"])
    base: Dict[str, Any] = {
        "type": kind,
        "seq": int(message["seq"]),
        "execution_id": str(data.get("execution_id", "")),
        "timestamp": float(data.get("timestamp", 0.0)),
        "data": data,
    }
    if kind == "output":
        return Output(**base, text=data["data"], stream=data["stream"])
    if kind == "display":
        return Display(
            **base,
            mime=data["mime"],
            metadata=data.get("metadata", {}),
            display_id=data.get("display_id"),
            update=bool(data.get("update", False)),
        )
    if kind == "clear_output":
        return ClearOutput(**base, wait=bool(data.get("wait", False)))
    if kind == "input":
        return InputRequest(
            **base,
            input_id=data["input_id"],
            prompt=data["prompt"],
            password=data["password"],
            timeout=float(data["timeout"]),
        )
    if kind == "tool_call":
        return ToolCall(
            **base,
            call_id=data["call_id"],
            name=data["name"],
            arguments=data["arguments"],
            batch=data.get("batch"),
            timeout=data.get("timeout"),
        )
    if kind == "tool_done":
        return ToolDone(**base, call_id=data["call_id"], name=data["name"], status=data["status"])
    if kind == "output_truncated":
        return OutputTruncated(**base, dropped_bytes=data["dropped_bytes"], reason=data["reason"])
    if kind == "result":
        return Result(
            **base,
            value=data.get("value"),
            repr=data.get("repr"),
            mime=data.get("mime", {}),
            execution_time=float(data["execution_time"]),
            transaction=data["transaction"],
        )
    if kind == "error":
        return ExecutionError(
            **base,
            exception_type=data["exception_type"],
            message=data["exception_message"],
            traceback=data["traceback"],
            reason=data["reason"],
            execution_time=float(data["execution_time"]),
            transaction=data["transaction"],
            state=data["state"],
            state_checkpoint_id=data.get("state_checkpoint_id"),
            lost_executions=list(data.get("lost_executions", [])),
        )
    return UnknownEvent(**base)
