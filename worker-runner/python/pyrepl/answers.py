"""Owns waiting for answers while an execution runs: threads and event loops wait, one thread at a time reads."""

from __future__ import annotations

import _thread
import os
import select

from .guard import interruptible
from .wire import parse_message

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from .messages import InputResponse, InstallAnswer, LiveRequest, ToolAnswer
    from .wire import Connection

_POLLIN = select.POLLIN


class Waiter:
    """Waits for one answer. `on_settled` is called from the thread that reads the answer."""

    __slots__ = ("_on_settled", "_sleep", "answer", "is_settled")

    def __init__(self, on_settled: Callable[[], None] | None = None) -> None:
        self.answer: Any = None
        self.is_settled = False
        self._on_settled = on_settled
        self._sleep = _thread.allocate_lock()
        self._sleep.acquire()

    def settle(self, answer: InputResponse | ToolAnswer | InstallAnswer | None) -> None:
        """Hand over the answer, or None because the execution has ended."""
        if self.is_settled:
            return
        self.answer = answer
        self.is_settled = True
        if self._on_settled is not None:
            self._on_settled()
        self.wake()

    def wake(self) -> None:
        """End the sleep, or the next one."""
        try:
            if self._sleep.locked():
                self._sleep.release()
        except RuntimeError:
            # Another thread has released it in between.
            return

    @interruptible
    def sleep(self) -> None:
        """Block until `wake`; signal handlers of user code may raise from here."""
        self._sleep.acquire()


class Answers:
    """Between executions the main thread alone reads the connection, and nobody waits here."""

    def __init__(self) -> None:
        self._main_thread = _thread.get_ident()
        self._cancel_read = self._cancel_write = -1
        self._reset()

    def _reset(self) -> None:
        self._waiting: dict[str, Waiter] = {}
        self._blocked: list[Waiter] = []
        self._reading = _thread.allocate_lock()
        self._reading.acquire()
        self.deferred: list[LiveRequest] = []
        self.is_open = False

    def start(self, connection: Connection) -> None:
        """Begin anew on `connection`, in a process that was just forked."""
        self._reset()
        self._connection = connection

    def detach(self) -> None:
        """Expect nothing, in a process that user code forked."""
        self._reset()

    @property
    def fd(self) -> int:
        """Return the descriptor that becomes readable when an answer arrives."""
        return self._connection.fd

    def open(self) -> None:
        """Let threads read: an execution begins. On the main thread."""
        self.is_open = True
        self._reading.release()

    def close(self) -> None:
        """Settle everything that waits with None, and take the reading over. On the main thread."""
        self.is_open = False
        for waiter in list(self._waiting.values()):
            waiter.settle(None)
        self._waiting.clear()
        if not self._reading.acquire(False):
            # The thread that reads sleeps in `poll`, or is about to.
            if self._cancel_write >= 0:
                os.write(self._cancel_write, b"!")
            self._reading.acquire()
        if self._cancel_read >= 0:
            os.close(self._cancel_read)
            os.close(self._cancel_write)
            self._cancel_read = self._cancel_write = -1

    def expect(self, answer_id: str, waiter: Waiter) -> None:
        """Have the answer of that id settle `waiter`."""
        self._waiting[answer_id] = waiter
        if not self.is_open:
            # The execution has ended in between.
            self.forget(answer_id)
            waiter.settle(None)

    def forget(self, answer_id: str) -> None:
        """Drop the answer of that id if it still comes."""
        self._waiting.pop(answer_id, None)

    def wait(self, waiter: Waiter) -> None:
        """Block until `waiter` is settled. Reads the connection unless another thread does."""
        self._blocked.append(waiter)
        try:
            while not waiter.is_settled:
                if self._reading.acquire(False):
                    try:
                        self._read_until(waiter)
                    finally:
                        self._reading.release()
                else:
                    waiter.sleep()
        finally:
            self._blocked.remove(waiter)
            self._wake_next()

    def read_available(self) -> None:
        """Settle with the messages that have arrived, unless a thread reads already. For event loops."""
        if not self._reading.acquire(False):
            return
        try:
            self._connection.receive_some(wait=False)
            self._take_frames()
        finally:
            self._reading.release()
            self._wake_next()

    def _wake_next(self) -> None:
        """Have another thread read."""
        if self.is_open and self._blocked and not self._reading.locked():
            self._blocked[0].wake()

    def _read_until(self, waiter: Waiter) -> None:
        wait = self._connection.wait_readable if _thread.get_ident() == self._main_thread else self._make_wait()
        self._take_frames()
        while not waiter.is_settled:
            wait()
            if not self.is_open:
                return
            self._connection.receive_some(wait=False)
            self._take_frames()

    def _make_wait(self) -> Callable[[], Any]:
        """Return the wait of a thread other than the main thread, which `close` can end."""
        if self._cancel_read < 0:
            read, self._cancel_write = os.pipe()
            self._cancel_read = read
        poll = select.poll()
        poll.register(self._connection.fd, _POLLIN)
        poll.register(self._cancel_read, _POLLIN)
        return poll.poll

    def _take_frames(self) -> None:
        while (frame := self._connection.take_frame()) is not None:
            message: LiveRequest = parse_message(*frame)
            if message["type"] == "input_response":
                self._settle(message["input_id"], message)
            elif message["type"] == "tool_answer":
                self._settle(message["call_id"], message)
            elif message["type"] == "install_answer":
                self._settle(message["install_id"], message)
            else:
                self.deferred.append(message)

    def _settle(self, answer_id: str, message: InputResponse | ToolAnswer | InstallAnswer) -> None:
        waiter = self._waiting.pop(answer_id, None)
        if waiter is not None:
            waiter.settle(message)
