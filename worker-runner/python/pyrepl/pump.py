"""Owns the pump thread, which sends the output of C code and subprocesses, and lines that are not finished."""

from __future__ import annotations

import _signal  # pyright: ignore[reportMissingImports]
import _thread
import os
import select

from .linux import Timer
from .wire import ConnectionEnded

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from .guard import Guard
    from .pipes import Pipes
    from .wire import Connection

LINGER_MS = 2
"""How long output without a line end waits for more."""
_RETRY_MS = 1
_STACK_BYTES = 262144
_POLLIN = select.POLLIN
_POLLRDHUP = 0x2000

_read = os.read
_write = os.write
_exit = os._exit
_pthread_kill = _signal.pthread_kill


class Pump:
    """The pump of one live process; it also ends the process when the runner is gone, and repeats postponed signals.

    `drain` takes the bytes in the pipes and sends them if its argument says that they are due; it returns False between
    executions.
    """

    def __init__(self, drain: Callable[[bool], bool], guard: Guard, pipes: Pipes, connection: Connection) -> None:
        self._drain = drain
        self._readings = [reading for reading, _ in pipes.ends]
        self._connection_fd = connection.fd
        self._wake_read, self._wake_write = os.pipe()
        os.set_blocking(self._wake_read, False)
        os.set_blocking(self._wake_write, False)
        self._timer = Timer(LINGER_MS)
        self.arm = self._timer.arm
        self.postponed: list[int] = []
        self._repeating = _thread.allocate_lock()
        self._main_thread = _thread.get_ident()
        # Between executions the bytes in the pipes stay there, and the thread does not watch them.
        self.is_waiting_for_execution = False
        guard.postpone = self._postpone
        guard.forget_postponed = self._forget_postponed

    def start(self) -> None:
        """Start the thread, with every signal blocked so that the main thread gets them all."""
        previous_size = _thread.stack_size(_STACK_BYTES)
        previous_mask = _signal.pthread_sigmask(_signal.SIG_BLOCK, _signal.valid_signals())
        try:
            _thread.start_new_thread(self._run, ())
        finally:
            _signal.pthread_sigmask(_signal.SIG_SETMASK, previous_mask)
            _thread.stack_size(previous_size)

    def wake(self) -> None:
        """Have the thread look at its state again."""
        try:
            _write(self._wake_write, b"!")
        except OSError:
            return

    def discard(self) -> None:
        """Close the descriptors, in a process where the thread does not exist."""
        self._timer.close()
        for descriptor in (self._wake_read, self._wake_write):
            try:
                os.close(descriptor)
            except OSError:
                continue

    def _take_timer(self) -> bool:
        try:
            _read(self._timer.fd, 8)
        except BlockingIOError:
            return False
        return True

    def _postpone(self, signum: int) -> None:
        self.postponed.append(signum)
        self.wake()

    def _forget_postponed(self) -> None:
        """Forget the postponed signals; a repetition that had begun is complete when this returns."""
        with self._repeating:
            self.postponed.clear()

    def _run(self) -> None:
        try:
            self._loop()
        except ConnectionEnded:
            _exit(0)
        except BaseException:
            # Without its pump this process is useless; the runner recovers the session.
            _exit(70)

    def _loop(self) -> None:
        poll = select.poll()
        poll.register(self._wake_read, _POLLIN)
        poll.register(self._timer.fd, _POLLIN)
        poll.register(self._connection_fd, _POLLRDHUP)
        self._watch_pipes(poll)
        while True:
            events = dict(poll.poll(_RETRY_MS if self.postponed else None))
            if self._connection_fd in events:
                raise ConnectionEnded
            if self._wake_read in events:
                _read(self._wake_read, 4096)
            elif self.postponed:
                self._repeat_signals()
            is_due = self._timer.fd in events and self._take_timer()
            has_bytes = any(reading in events for reading in self._readings)
            if self.is_waiting_for_execution:
                if self._drain(is_due):
                    self._watch_pipes(poll)
            elif (has_bytes or is_due) and not self._drain(is_due) and has_bytes:
                self._ignore_pipes(poll)

    def _ignore_pipes(self, poll: select.poll) -> None:
        for reading in self._readings:
            poll.unregister(reading)
        self.is_waiting_for_execution = True
        # An execution that began before the line above did not wake this thread.
        if self._drain(False):
            self._watch_pipes(poll)

    def _watch_pipes(self, poll: select.poll) -> None:
        self.is_waiting_for_execution = False
        for reading in self._readings:
            poll.register(reading, _POLLIN)

    def _repeat_signals(self) -> None:
        with self._repeating:
            postponed, self.postponed[:] = self.postponed[:], []
            for signum in postponed:
                _pthread_kill(self._main_thread, signum)
