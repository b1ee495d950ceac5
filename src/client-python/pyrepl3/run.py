"""Owns one execution as `Client` hands it out."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Deque, Iterator, Optional

from .events import AnyEvent, InputRequest
from .outcome import Outcome
from .run_options import Callbacks
from .run_state import RunState

if TYPE_CHECKING:
    from .client import Client


class Run:
    """An execution that goes on: iterate over its events, or ask for its outcome.

    Read it to the end, or `detach` it: a run that nobody reads holds back the session's output once the window is full.

    >>> from pyrepl3 import Client
    >>> with Client("http://127.0.0.1:8787") as client:
    ...     run = client.start("print('Hello'); 6 * 7")
    ...     [event.type for event in run]
    ...     run.outcome().value
    ['output', 'result']
    42
    """

    def __init__(self, client: Client, state: RunState) -> None:
        self._client = client
        self._state = state
        self._events: Deque[AnyEvent] = deque()

    @property
    def execution_id(self) -> str:
        """Its id, by which it can be found again: `client.resume`."""
        return self._state.execution_id

    def __iter__(self) -> Iterator[AnyEvent]:
        return self

    def __next__(self) -> AnyEvent:
        if not self._events:
            self._events.extend(self._client.in_loop(self._state.next_batch))
        if not self._events:
            raise StopIteration
        event = self._events.popleft()
        self._state.collector.add(event)
        return event

    def outcome(self, callbacks: Optional[Callbacks] = None) -> Outcome:
        """Read the rest and return how it ended.

        An `input()` that no callback answers gets end of file. If the caller is interrupted (Ctrl-C), or a callback
        raises, the execution is cancelled too.
        """
        calls = Callbacks() if callbacks is None else callbacks
        try:
            for event in self:
                for callback in calls.of(event):
                    callback(event)
                if isinstance(event, InputRequest):
                    value = None if calls.on_input is None else calls.on_input(event)
                    if value is not None and not isinstance(value, str):
                        raise TypeError("on_input must return a string or None; a coroutine needs AsyncClient")
                    self.answer(event, value)
        except BaseException:
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

    def cancel(self) -> None:
        """Interrupt it, or take it from the queue; its `error` event follows."""
        self._client.cancel(self.execution_id)

    def detach(self) -> None:
        """Stop reading; the execution goes on."""
        self._events.clear()
        self._state.detach_soon()

    def __del__(self) -> None:
        # A run that was dropped half read must not hold back the next one.
        self._state.detach_soon()
