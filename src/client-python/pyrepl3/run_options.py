"""Owns what a caller may say about one execution, and the callbacks that it gets."""

from __future__ import annotations

import inspect
import uuid
from dataclasses import dataclass
from typing import Any, Awaitable, Callable, Dict, Optional, Sequence, Union

from .events import AnyEvent, Display, InputRequest, Output
from .http_call import without_none
from .run_state import RunState
from .tool_box import Tool, ToolBox, ToolFunction

OnOutput = Callable[[Output], Any]
OnDisplay = Callable[[Display], Any]
OnAnyEvent = Callable[[AnyEvent], Any]
# Returns the line without its line feed; None is end of file.
OnInput = Callable[[InputRequest], Union[Optional[str], Awaitable[Optional[str]]]]


@dataclass(frozen=True)
class Callbacks:
    """What is called while code runs; a coroutine function is awaited by `AsyncClient`."""

    on_output: Optional[OnOutput] = None
    on_display: Optional[OnDisplay] = None
    on_input: Optional[OnInput] = None
    on_event: Optional[OnAnyEvent] = None

    def of(self, event: AnyEvent) -> Sequence[Callable[[Any], Any]]:
        """Return those that an event goes to, `on_input` left out."""
        chosen = (
            self.on_event,
            self.on_output if isinstance(event, Output) else None,
            self.on_display if isinstance(event, Display) else None,
        )
        return [callback for callback in chosen if callback is not None]


async def settle(value: Any) -> Any:
    """Return what a callback returned, awaited if it is awaitable."""
    return await value if inspect.isawaitable(value) else value


def run_state_of(
    code: str,
    *,
    execution_id: Optional[str],
    timeout: Optional[float],
    policy: Optional[str],
    tools: Sequence[Union[ToolFunction, Tool]],
    report_files: bool,
    max_tool_calls: Optional[int],
    max_parallel_tool_calls: Optional[int],
    traceparent: Optional[str],
) -> RunState:
    """Return the run that a caller describes. It must be made in the client's loop."""
    box = ToolBox(tools)
    request: Dict[str, Any] = without_none(
        {
            "code": code,
            "timeout": timeout,
            "transaction_policy": policy,
            "tools": box.declarations() or None,
            "report_files": report_files or None,
            "max_tool_calls": max_tool_calls,
            "max_parallel_tool_calls": max_parallel_tool_calls,
            "traceparent": traceparent,
        }
    )
    return RunState(str(uuid.uuid4()) if execution_id is None else execution_id, request, box)
