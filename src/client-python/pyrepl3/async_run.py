"""Owns one execution as `AsyncClient` hands it out."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Any, AsyncIterator, Deque, Generator, Optional

from .events import AnyEvent, InputRequest
from .outcome import Outcome
from .run_options import Callbacks, settle
from .run_state import RunState

if TYPE_CHECKING:
    from .async_client import AsyncClient


class AsyncRun:
    """An execution that goes on: iterate over its events, or await it for its outcome.

    Read it to the end, or `detach` it: a run that nobody reads holds back the session's output once the window is full.

        run = await client.start("for i in range(3): print(i)")
        async for event in run: ...
        outcome = await run
    """

    def __init__(self, client: AsyncClient, state: RunState) -> None:
        self._client = client
        self._state = state
        self._events: Deque[AnyEvent] = deque()

    @property
    def execution_id(self) -> str:
        """Its id, by which it can be found again: `client.resume`."""
        return self._state.execution_id

    def __aiter__(self) -> AsyncIterator[AnyEvent]:
        return self

    async def __anext__(self) -> AnyEvent:
        if not self._events:
            self._events.extend(await self._state.next_batch())
        if not self._events:
            raise StopAsyncIteration
        event = self._events.popleft()
        self._state.collector.add(event)
        return event

    def __await__(self) -> Generator[Any, None, Outcome]:
        return self.outcome().__await__()

    async def outcome(self, callbacks: Optional[Callbacks] = None) -> Outcome:
        """Read the rest and return how it ended.

        An `input()` that no callback answers gets end of file. If the caller is cancelled, or a callback raises, the
        execution is cancelled too.
        """
        calls = Callbacks() if callbacks is None else callbacks
        try:
            async for event in self:
                for callback in calls.of(event):
                    await settle(callback(event))
                if isinstance(event, InputRequest):
                    value = None if calls.on_input is None else await settle(calls.on_input(event))
                    self.answer(event, value)
        except (Exception, asyncio.CancelledError):
            if self._state.is_waiting:
                self._client.abandon(self)
            raise
        outcome = self._state.collector.outcome
        if outcome is None:
            raise RuntimeError("a run that was detached has no outcome")
        self._client.note(outcome)
        return outcome

    def answer(self, request: InputRequest, value: Optional[str]) -> None:
        """Answer an `input()`; None is end of file. The first answer counts."""
        self._client.answer_input(self.execution_id, request.input_id, value)

    async def cancel(self) -> None:
        """Interrupt it, or take it from the queue; its `error` event follows."""
        await self._client.cancel(self.execution_id)

    def detach(self) -> None:
        """Stop reading; the execution goes on."""
        self._events.clear()
        self._state.detach()

    def __del__(self) -> None:
        # A run that was dropped half read must not hold back the next one.
        self._state.detach_soon()
