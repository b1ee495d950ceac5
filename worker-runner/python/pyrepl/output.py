"""Owns everything the session prints: Python-level writes and the bytes on fd 1 and 2, their order, and when they are sent."""

from __future__ import annotations

import _thread
import os
import time

from .guard import acquire_interruptibly, deliver
from .output_sender import LARGE_CHARS, OutputSender
from .plain_output import PlainOutput, as_plain_text
from .ring import CAPACITY, END_WORD
from .wire import KIND_JSON, MAX_JSON_BYTES, to_json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from .messages import Message
    from .pipes import PipeReader
    from .pump import Pump
    from .ring import Ring
    from .wire import Connection

_QUIET_SECONDS = 0.001
_MAX_PIECES_OF_LINE = 32
"""How many pieces without a line end may follow a signal before its handler runs. Most calls of `print` write fewer."""
_MAX_LINGERS = 10
"""How often output that ends inside a line waits again. `print` writes its line end by a second call, and a busy machine
can stop the thread between the two calls for longer than the pump waits: the line would leave in two messages."""
_BRIEF_SECONDS = 0.05
"""How long a write waits for the lock before a signal may keep it from being written."""
_MAX_SIGNALS_IN_LINE = 3
_CLOSED, _OPEN, _WRITING = range(3)
"""Between executions; during one; during one, while the thread that holds the lock is inside one of our methods."""

_monotonic = time.monotonic
_encode_utf8 = str.encode
_getpid = os.getpid


def _do_nothing() -> None:
    return None


def _refuse() -> None:
    raise RuntimeError("nothing can be shown or asked from here")


class Output(OutputSender):
    """The output of one live process; every method may be called from any thread unless it says otherwise."""

    def __init__(self, ring: Ring) -> None:
        self._ring = ring
        self._plain = PlainOutput()
        self._state = _CLOSED
        self.is_armed = False
        self._renew_lock()

    @property
    def is_open(self) -> bool:
        """Say whether an execution is running, so that output is sent."""
        return self._state != _CLOSED

    def start(self, connection: Connection, reader: PipeReader, pump: Pump) -> None:
        """Begin anew on `connection`, in a process that was just forked."""
        self._ring.start(_getpid())
        self._start_sending(self._ring, connection, reader)
        self._renew_lock()
        self._backlog: list[tuple[int, str]] = []
        self._pieces_since_signal = 0
        self._is_line_open = False
        self._signals_in_line = 0
        self._lingers = 0
        self._state = _CLOSED
        self.is_armed = False
        self.pump = pump
        self._postponed = pump.postponed

    def discard(self) -> None:
        """Close the descriptors of pump and reader, in a snapshot."""
        self._renew_lock()
        self._state = _CLOSED
        self.pump.discard()
        self.reader.close()

    def detach(self) -> None:
        """Become plain text over fd 1 and 2, in a process that user code forked."""
        self._state = _CLOSED
        self._renew_lock()
        self._plain.is_line_buffered = True
        self.pump.discard()
        self.reader.close()
        self.connection.close()

    def write(self, stream: int, text: str) -> int:
        """Take text for `stream` (1 or 2); returns its length in characters, as a text stream's `write` does."""
        if type(text) is not str:
            text = as_plain_text(text)
        length = len(text)
        if self._state == _CLOSED:
            return self._plain.write(stream, text)
        if length > LARGE_CHARS:
            return self._write_pieces(stream, text)
        try:
            data = _encode_utf8(text)
        except UnicodeEncodeError:
            return self._write_pieces(stream, text)
        if not self._acquire(False):
            self._await_lock()
        if self._state != _OPEN:
            return self._write_aside(stream, text)
        self._state = _WRITING
        try:
            # A line end belongs to the text before it: bytes that came into the pipes in between follow both.
            is_line_end = text == "\n"
            if not is_line_end and self._waiting(0, 1):
                self._take_pipes()
            used = self._used
            after = used + len(data)
            if stream != self._stream or after > CAPACITY or self._in_flight:
                self._make_room(stream, len(data))
                used = self._used
                after = used + len(data)
            self._data[used:after] = data
            self._used = after
            self._words[END_WORD] = self._base + after
            self._is_line_open = text[-1:] != "\n"
            if is_line_end:
                if _monotonic() - self._sent_at > _QUIET_SECONDS:
                    self._flush()
                elif not self.is_armed:
                    self._arm()
            elif not self.is_armed:
                self._send_soon(text)
        finally:
            self._state = _OPEN
            if self._backlog:
                self._write_backlog()
            self._release()
        if self._postponed:
            self._pieces_since_signal += 1
            # `print` writes its line end by a second call: a handler that raises between them would cut the line.
            if not self._is_line_open or self._pieces_since_signal > _MAX_PIECES_OF_LINE:
                self._pieces_since_signal = 0
                self._is_line_open = False
                deliver(self._postponed)
        return length

    def is_in_line(self) -> bool:
        """Say whether a signal may have come in the middle of a `print`, which checks for signals between its writes.

        The pump repeats the signal after a millisecond; if the line is still open after some repetitions, the code waits in it.
        """
        if not self._is_line_open:
            self._signals_in_line = 0
            return False
        self._signals_in_line += 1
        if self._signals_in_line <= _MAX_SIGNALS_IN_LINE:
            return True
        self._signals_in_line = 0
        return False

    def _await_lock(self) -> None:
        """Wait for the lock: at first without running signal handlers, which would cut a line that is being printed."""
        if self._acquire(True, _BRIEF_SECONDS):
            return
        if self._postponed:
            deliver(self._postponed)
        acquire_interruptibly(self._lock)

    def _send_soon(self, text: str) -> None:
        """Send a line at once if nothing was sent lately; leave anything else to the pump."""
        if text[-1:] == "\n" and _monotonic() - self._sent_at > _QUIET_SECONDS:
            self._flush()
        else:
            self._arm()

    def _arm(self) -> None:
        self.is_armed = True
        self.pump.arm()

    def _write_aside(self, stream: int, text: str) -> int:
        """Take text that came while this very thread was writing, or just after the execution ended."""
        self._set_aside(stream, text)
        self._release()
        return len(text)

    def _set_aside(self, stream: int, text: str) -> None:
        if self._state == _WRITING:
            self._backlog.append((stream, text))
        else:
            self._plain.write(stream, text)

    def flush(self) -> None:
        """Send the output that waits; between executions, write it to fd 1 and 2."""
        if self._state == _CLOSED:
            self._plain.flush()
            return
        self._locked(self._flush_all, _do_nothing)

    def send_message(self, message: Message) -> None:
        """Send a message after all output that was written before it."""
        self.send_payload(to_json(message).encode("ascii"))

    def send_payload(self, payload: bytes) -> None:
        """Send a message, given as JSON text, after all output that was written before it."""
        if len(payload) > MAX_JSON_BYTES:
            raise ValueError(f"{len(payload)} bytes as JSON are more than {MAX_JSON_BYTES}")
        self._locked(lambda: self._send_after_output(payload), _refuse)

    def open(self) -> None:
        """Let output flow: an execution begins. On the main thread."""
        self._is_line_open = False
        self._state = _OPEN
        if self.pump.is_waiting_for_execution:
            self.pump.wake()

    def close(self, terminal: bytes) -> None:
        """Send all output, then the terminal message; nothing is sent until `open`. On the main thread."""
        if not self._acquire(False):
            self._acquire()
        try:
            self._state = _WRITING
            if self._waiting(0, 1):
                self._take_pipes()
            for stream, text in self.reader.take_partial_characters():
                self._put_text(stream, text, LARGE_CHARS)
            self._state = _CLOSED
            self._flush()
            if self._backlog:
                self._write_backlog()
            self.connection.send(KIND_JSON, terminal)
        finally:
            self._release()

    def hold(self) -> Any:
        """Return the lock that keeps every other thread out of the output."""
        return self._lock

    def _renew_lock(self) -> None:
        self._lock = _thread.RLock()
        self._acquire = self._lock.acquire
        self._release = self._lock.release

    def drain(self, is_due: bool) -> bool:
        """Take the bytes in the pipes and send them if due; False between executions. For the pump thread."""
        self._acquire()
        try:
            if self._state != _OPEN:
                self.is_armed = False
                return self._state == _WRITING
            self._state = _WRITING
            try:
                self._take_pipes()
                if is_due and self._is_line_open and self._lingers < _MAX_LINGERS:
                    self._lingers += 1
                    self._arm()
                elif is_due or _monotonic() - self._sent_at > _QUIET_SECONDS:
                    self.is_armed = False
                    self._lingers = 0
                    self._flush()
                elif not self.is_armed:
                    self._arm()
            finally:
                self._state = _OPEN
            if self._backlog:
                self._write_backlog()
            return True
        finally:
            self._release()

    def _locked(self, action: Callable[[], None], otherwise: Callable[[], None]) -> None:
        """Run `action` under the lock, or `otherwise` if this very thread is writing or the execution has ended."""
        if not self._acquire(False):
            acquire_interruptibly(self._lock)
        try:
            if self._state != _OPEN:
                otherwise()
                return
            self._state = _WRITING
            try:
                action()
            finally:
                self._state = _OPEN
            if self._backlog:
                self._write_backlog()
        finally:
            self._release()

    # Every method below runs under the lock.

    def _send_after_output(self, payload: bytes) -> None:
        self._flush_all()
        self.connection.send(KIND_JSON, payload)

    def _write_backlog(self) -> None:
        while self._backlog:
            stream, text = self._backlog.pop(0)
            self.write(stream, text)

    def _write_pieces(self, stream: int, text: str) -> int:
        """Write long text, or text with lone surrogates, without a second copy of all of it."""
        self._locked(lambda: self._put_pieces(stream, text), lambda: self._set_aside(stream, text))
        return len(text)
