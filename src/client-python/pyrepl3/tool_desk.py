"""Owns the answering of tool calls: each call runs once, many at a time, and its answer is handed to the connection."""

from __future__ import annotations

import asyncio
import functools
import inspect
import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Callable, Dict, Optional, Set

from .events import AnyEvent, ToolCall, ToolDone, is_terminal
from .run_state import RunState
from .tool_box import Tool, ToolBox

# More than the calls that an execution may have outstanding, unless it asks for more.
_THREADS = 32

# Takes execution id, call id and the fields of `tool_result`.
SendAnswer = Callable[[str, str, Dict[str, Any]], None]


class ToolDesk:
    """Runs plain functions in threads and coroutines in the client's loop.

    Args:
        box: the tools of the session.
        send: takes each answer.
    """

    def __init__(self, box: ToolBox, send: SendAnswer) -> None:
        self._box = box
        self._send = send
        self._threads: Optional[ThreadPoolExecutor] = None
        self._running: Dict[str, asyncio.Task[None]] = {}
        self._known: Dict[str, Set[str]] = {}

    def handle(self, event: AnyEvent, run: Optional[RunState]) -> None:
        """Take an event of any execution; those that are about tools start or end a call."""
        if isinstance(event, ToolCall):
            tool = (run.tools.get(event.name) if run is not None else None) or self._box.get(event.name)
            known = self._known.setdefault(event.execution_id, set())
            if tool is not None and event.call_id not in known:
                known.add(event.call_id)
                self._running[event.call_id] = asyncio.ensure_future(self._answer(tool, event))
        elif isinstance(event, ToolDone):
            task = self._running.pop(event.call_id, None)
            if task is not None and event.status in ("cancelled", "timed_out"):
                task.cancel()
        elif is_terminal(event):
            self._known.pop(event.execution_id, None)

    def close(self) -> None:
        """Cancel what runs; a plain function that runs is not waited for."""
        for task in self._running.values():
            task.cancel()
        self._running.clear()
        if self._threads is not None:
            self._threads.shutdown(wait=False)

    async def _answer(self, tool: Tool, call: ToolCall) -> None:
        try:
            value = await self._call(tool, dict(call.arguments))
            json.dumps(value, allow_nan=False)
            answer: Dict[str, Any] = {"value": value}
        except Exception as error:
            answer = {"error": {"type": type(error).__name__, "message": str(error)}}
        self._running.pop(call.call_id, None)
        self._send(call.execution_id, call.call_id, {"call_id": call.call_id, **answer})

    async def _call(self, tool: Tool, arguments: Dict[str, Any]) -> Any:
        if inspect.iscoroutinefunction(tool.function):
            return await tool.function(**arguments)
        if self._threads is None:
            self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="pyrepl3-tool")
        value = await asyncio.get_running_loop().run_in_executor(
            self._threads, functools.partial(tool.function, **arguments)
        )
        return await value if inspect.isawaitable(value) else value
