"""Owns one execution as the client sees it while it goes on: its events, each once, at the reader's pace."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any, Callable, Dict, List, Mapping, Optional, Tuple

from .events import AnyEvent, is_terminal
from .outcome import OutcomeCollector
from .tool_box import ToolBox

Consumed = Callable[[], None]


class RunState:
    """Events go in from the connection and out to the reader of the run.

    Args:
        execution_id: its id.
        request: the fields of `execute`; None where the execution was submitted elsewhere.
        tools: those that this execution alone may call.
    """

    def __init__(self, execution_id: str, request: Optional[Mapping[str, Any]], tools: ToolBox) -> None:
        self.execution_id = execution_id
        self.request = request
        self.tools = tools
        self.collector = OutcomeCollector(execution_id)
        self.last_seq = 0
        self.sent_on: object = None
        self._failure: Optional[Exception] = None
        self._is_over = False
        self._is_detached = False
        self._queue: List[Tuple[AnyEvent, Consumed]] = []
        self._taken: List[Consumed] = []
        self._has_news = asyncio.Event()
        self._loop = asyncio.get_running_loop()

    @property
    def has_events(self) -> bool:
        """Whether the service is known to have the execution."""
        return self.last_seq > 0

    @property
    def is_waiting(self) -> bool:
        """Whether more events are to come."""
        return not self._is_over and self._failure is None

    def message(self) -> Dict[str, Any]:
        """Return the fields of `execute`, id included."""
        return {**(self.request or {}), "id": self.execution_id}

    def receive(self, event: AnyEvent, consumed: Consumed) -> None:
        """Take an event; `consumed` is called when its reader is done with it, at once if it came before."""
        if event.seq <= self.last_seq or not self.is_waiting:
            consumed()
            return
        self.last_seq = event.seq
        self._is_over = is_terminal(event)
        if self._is_detached:
            consumed()
            return
        self._queue.append((event, consumed))
        self._has_news.set()

    def fail(self, error: Exception) -> None:
        """End without an outcome."""
        if self.is_waiting:
            self._failure = error
            self._has_news.set()

    def check(self) -> None:
        """Raise what the run failed with, if it failed."""
        if self._failure is not None:
            raise self._failure

    def detach(self) -> None:
        """Nobody reads on: what comes is dropped, so that it holds nobody back."""
        self._is_detached = True
        self._taken += [consumed for _, consumed in self._queue]
        self._queue.clear()
        self._release()

    def detach_soon(self) -> None:
        """Detach from any thread, also one in which garbage is collected."""
        if not self._is_over:
            with contextlib.suppress(RuntimeError):  # The loop is closed, so nothing comes any more.
                self._loop.call_soon_threadsafe(self.detach)

    async def next_batch(self) -> List[AnyEvent]:
        """Return the events that are there, at least one; the earlier ones count as consumed now.

        Raises:
            PyREPL3Error: the execution was refused, or the connection is lost for good.
        """
        self._release()
        while not self._queue:
            if self._failure is not None:
                raise self._failure
            if self._is_over or self._is_detached:
                return []
            self._has_news.clear()
            await self._has_news.wait()
        batch = [event for event, _ in self._queue]
        self._taken = [consumed for _, consumed in self._queue]
        self._queue.clear()
        if is_terminal(batch[-1]):
            self._release()
        return batch

    def _release(self) -> None:
        taken, self._taken = self._taken, []
        for consumed in taken:
            consumed()
