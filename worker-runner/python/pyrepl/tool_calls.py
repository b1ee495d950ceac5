"""Owns calls of the client's tools: which tools there are, how many calls may wait, sending them and ending their wait."""

from __future__ import annotations

import _thread
import os
from collections import deque

from .answers import Answers, Waiter
from .library import LIBRARY
from .tool_arguments import bind, encode
from .tool_errors import ToolCancelled, ToolError, ToolTimeout
from .wire import to_json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from .messages import ToolAnswer, ToolDefinition
    from .output import Output

DEFAULT_MAX_CALLS = 1000
DEFAULT_MAX_PARALLEL = 16
_MAX_WAITING_BYTES = 8 << 20
"""Arguments of the calls that wait at the client at one time; one call always may."""


class _Call:
    __slots__ = ("arguments", "batch", "call_id", "execution", "is_sent", "name", "waiter")

    def __init__(self, name: str, arguments: str, batch: str, waiter: Waiter) -> None:
        self.call_id = os.urandom(8).hex()
        self.name = name
        self.arguments = arguments
        self.batch = batch
        self.waiter = waiter
        self.is_sent = False
        self.execution: _Execution | None = None


class _Execution:
    """The calls of one execution."""

    __slots__ = ("calls_left", "execution_id", "max_calls", "max_parallel", "queued", "sent", "sent_bytes")

    def __init__(self, execution_id: str, max_calls: int, max_parallel: int) -> None:
        self.execution_id = execution_id
        self.max_calls = self.calls_left = max_calls
        self.max_parallel = max_parallel
        self.sent = 0
        self.sent_bytes = 0
        self.queued: deque[_Call] = deque()


class ToolCalls:
    """The tools of one live process; `call` and `call_async` may be called from any thread."""

    def __init__(self, output: Output, answers: Answers) -> None:
        self._output = output
        self._answers = answers
        self.definitions: dict[str, ToolDefinition] = {}
        self._execution: _Execution | None = None
        self._loops: dict[Any, int] = {}
        self._batches: dict[Any, str] = {}
        self._lock = _thread.RLock()

    def start(self) -> None:
        """Begin anew, in a process that was just forked."""
        self._lock = _thread.RLock()
        self._execution = None
        self._loops, self._batches = {}, {}

    def open(self, execution_id: str, tools: list[ToolDefinition], max_calls: int, max_parallel: int) -> None:
        """Offer `tools` to the execution that begins."""
        self.definitions = {tool["python_name"]: tool for tool in tools}
        self._execution = _Execution(execution_id, max_calls, max_parallel)

    def close(self) -> None:
        """Take no more calls: the execution has ended. `Answers.close` ends the waiting ones."""
        with self._lock:
            execution, self._execution = self._execution, None
            queued = [] if execution is None else list(execution.queued)
            loops, self._loops, self._batches = list(self._loops), {}, {}
        for call in queued:
            call.waiter.settle(None)
        for loop in loops:
            self._stop_watching(loop)

    def detach(self) -> None:
        """Have no tools, in a process that user code forked."""
        self.start()
        self.definitions = {}

    def call(self, python_name: str, positional: tuple[Any, ...], named: dict[str, Any]) -> Any:
        """Call a tool and return the decoded value; blocks."""
        call = self._prepare(python_name, positional, named, _new_batch(), Waiter())
        try:
            self._begin(call)
            self._answers.wait(call.waiter)
        except BaseException:
            self._abandon(call)
            raise
        finally:
            self._finish(call)
        return _value_of(call.name, call.waiter.answer)

    async def call_async(self, python_name: str, positional: tuple[Any, ...], named: dict[str, Any]) -> Any:
        """Call a tool and return the decoded value; other tasks of the loop run meanwhile."""
        loop = LIBRARY.load("asyncio").get_running_loop()
        future = loop.create_future()
        waiter = Waiter(lambda: _call_in_loop(loop, lambda: None if future.done() else future.set_result(None)))
        call = self._prepare(python_name, positional, named, self._batch_of(loop), waiter)
        self._watch(loop)
        try:
            self._begin(call)
            await future
        except BaseException:
            self._abandon(call)
            raise
        finally:
            self._unwatch(loop)
            self._finish(call)
        return _value_of(call.name, waiter.answer)

    def _prepare(
        self, python_name: str, positional: tuple[Any, ...], named: dict[str, Any], batch: str, waiter: Waiter
    ) -> _Call:
        tool = self.definitions.get(python_name)
        if tool is None:
            raise ToolError(f"there is no tool {python_name}", type="unknown_tool")
        arguments = encode(tool["name"], bind(tool, positional, named))
        return _Call(tool["name"], arguments, batch, waiter)

    def _begin(self, call: _Call) -> None:
        with self._lock:
            execution = self._execution
            if execution is None:
                raise ToolCancelled("tools can be called only while an execution runs")
            if execution.calls_left == 0:
                raise ToolError(f"the execution has made its {execution.max_calls} tool calls", type="call_limit")
            execution.calls_left -= 1
            call.execution = execution
            if not _has_room(execution, call):
                execution.queued.append(call)
                return
            self._count(execution, call)
        self._send(execution, call)

    def _count(self, execution: _Execution, call: _Call) -> None:
        call.is_sent = True
        execution.sent += 1
        execution.sent_bytes += len(call.arguments)
        self._answers.expect(call.call_id, call.waiter)

    def _send(self, execution: _Execution, call: _Call) -> None:
        head = to_json(
            {
                "type": "tool_call",
                "execution_id": execution.execution_id,
                "call_id": call.call_id,
                "name": call.name,
                "batch": call.batch,
            }
        )
        try:
            self._output.send_payload(f'{head[:-1]},"arguments":{call.arguments}}}'.encode("ascii"))
        except RuntimeError as error:
            # The execution has ended in between.
            raise ToolCancelled(f"the call of {call.name} was cancelled") from error

    def _finish(self, call: _Call) -> None:
        """Give the call's place to the next one."""
        execution = call.execution
        if execution is None:
            return
        ready: list[_Call] = []
        with self._lock:
            self._answers.forget(call.call_id)
            if call.is_sent:
                execution.sent -= 1
                execution.sent_bytes -= len(call.arguments)
            elif call in execution.queued:
                execution.queued.remove(call)
            if execution is not self._execution:
                return
            while execution.queued and _has_room(execution, execution.queued[0]):
                following = execution.queued.popleft()
                self._count(execution, following)
                ready.append(following)
        for following in ready:
            try:
                self._send(execution, following)
            except BaseException as error:
                following.waiter.settle(None)
                if not isinstance(error, ToolCancelled):
                    raise

    def _abandon(self, call: _Call) -> None:
        """Tell the runner that nobody waits for the answer any more."""
        execution = call.execution
        if execution is None or execution is not self._execution or not call.is_sent or call.waiter.is_settled:
            return
        try:
            self._output.send_message(
                {"type": "tool_cancel", "execution_id": execution.execution_id, "call_id": call.call_id}
            )
        except RuntimeError:
            return

    # Event loops.

    def _batch_of(self, loop: Any) -> str:
        """Return the batch of the calls that the loop makes before it looks for events again."""
        batch = self._batches.get(loop)
        if batch is None:
            batch = self._batches[loop] = _new_batch()
            loop.call_soon(self._batches.pop, loop, None)
        return batch

    def _watch(self, loop: Any) -> None:
        with self._lock:
            watchers = self._loops.get(loop, 0)
            self._loops[loop] = watchers + 1
        if watchers == 0:
            loop.add_reader(self._answers.fd, self._answers.read_available)

    def _unwatch(self, loop: Any) -> None:
        with self._lock:
            watchers = self._loops.get(loop, 0) - 1
            if watchers > 0:
                self._loops[loop] = watchers
            elif watchers == 0:
                del self._loops[loop]
        if watchers == 0:
            loop.remove_reader(self._answers.fd)

    def _stop_watching(self, loop: Any) -> None:
        if loop.is_running():
            _call_in_loop(loop, lambda: loop.remove_reader(self._answers.fd))
        elif not loop.is_closed():
            loop.remove_reader(self._answers.fd)


def _has_room(execution: _Execution, call: _Call) -> bool:
    if execution.sent == 0:
        return True
    return execution.sent < execution.max_parallel and execution.sent_bytes + len(call.arguments) <= _MAX_WAITING_BYTES


def _call_in_loop(loop: Any, function: Callable[[], None]) -> None:
    try:
        loop.call_soon_threadsafe(function)
    except RuntimeError:
        # The loop is closed: nobody waits in it.
        return


def _new_batch() -> str:
    return os.urandom(6).hex()


def _value_of(name: str, answer: ToolAnswer | None) -> Any:
    if answer is None or answer["status"] == "cancelled":
        raise ToolCancelled(f"the call of {name} was cancelled")
    if answer["status"] == "ok":
        return answer.get("value")
    if answer["status"] == "timed_out":
        raise ToolTimeout(f"{name} did not answer in time")
    failure = answer.get("error", {})
    raise ToolError(failure.get("message", ""), type=failure.get("type"), data=failure.get("data"))
