"""Owns everything the session prints: Python-level writes, the bytes on fd 1 and 2, their order and their way out."""

from __future__ import annotations

import _thread
import codecs
import os
import select
import time
from collections.abc import Callable
from typing import Any

from .guard import Guard, acquire_interruptibly
from .pump import Pump
from .ring import CAPACITY, Ring
from .wire import KIND_JSON, KIND_OUTPUT, Connection, Message, to_json

_QUIET_SECONDS = 0.001
_END_WORD, _BEGIN_WORD, _STREAM_WORD = 1, 0, 2

_monotonic = time.monotonic
_read = os.read
_write = os.write
_encode_utf8 = str.encode


_getpid = os.getpid


def _as_plain_text(text: object) -> str:
    """Return the text of a str subclass without running its methods; TypeError for anything else."""
    if not isinstance(text, str):
        raise TypeError(f"write() argument must be str, not {type(text).__name__}")
    return str.__str__(text)


def _new_decoder() -> codecs.IncrementalDecoder:
    return codecs.getincrementaldecoder("utf-8")("surrogateescape")


def _close_quietly(descriptor: int) -> None:
    try:
        os.close(descriptor)
    except OSError:
        return


class PlainOutput:
    """Text straight to fd 1 and 2: between executions, and in processes that user code forked."""

    __slots__ = ("_held", "is_line_buffered")

    def __init__(self) -> None:
        self.is_line_buffered = False
        self._held = ["", "", ""]

    def write(self, stream: int, text: str) -> int:
        """Write `text`, whole lines at once where line buffered."""
        if self.is_line_buffered:
            self._held[stream] += text
            if "\n" in text:
                self.flush()
        else:
            self._write_through(stream, text)
        return len(text)

    def flush(self) -> None:
        """Write what is held."""
        for stream in (1, 2):
            held, self._held[stream] = self._held[stream], ""
            if held:
                self._write_through(stream, held)

    @staticmethod
    def _write_through(stream: int, text: str) -> None:
        try:
            data = text.encode("utf-8", "surrogateescape")
        except UnicodeEncodeError:
            data = text.encode("utf-8", "surrogatepass")
        view = memoryview(data)
        while view:
            view = view[_write(stream, view) :]


class Pipes:
    """The two pipes that are fd 1 and fd 2 of everything the user starts; their reading ends do not block."""

    __slots__ = ("ends", "poll")

    def __init__(self) -> None:
        self.ends: list[tuple[int, int]] = []
        for stream in (1, 2):
            reading, writing = os.pipe()
            os.set_blocking(reading, False)
            os.dup2(writing, stream, inheritable=True)
            os.close(writing)
            self.ends.append((reading, stream))

    def read(self, reading: int) -> bytes:
        """Return what waits in one pipe, nothing where nothing does."""
        try:
            return _read(reading, CAPACITY)
        except OSError:
            return b""


def output_message(offset: int, stream: int, text: str) -> Message:
    """Return the message for text that UTF-8 cannot carry."""
    name = "stdout" if stream == 1 else "stderr"
    return {"type": "output", "offset": offset, "stream": name, "data": text}


def output_payload(offset: int, stream: int, data: bytes) -> bytes:
    """Return the payload of an `O` frame."""
    return offset.to_bytes(8, "little") + bytes((stream,)) + data


class Output:
    """The output of one live process; every method may be called from any thread unless it says otherwise."""

    def __init__(self, ring: Ring, pipes: Pipes, guard: Guard) -> None:
        self._ring = ring
        self._guard = guard
        self._words = ring.words
        self._data = ring.data
        self._pipes = pipes
        self._poll = select.poll()
        for reading, _ in pipes.ends:
            self._poll.register(reading, select.POLLIN)
        self._plain = PlainOutput()
        self.is_open = False
        self.is_armed = False
        self._is_inside = False
        self._lock = _thread.RLock()

    def start(self, connection: Connection) -> None:
        """Begin anew on `connection`, in a process that was just forked."""
        self._connection = connection
        self._ring.start(_getpid())
        self._used = 0
        self._end = 0
        self._stream = 1
        self._is_sending = False
        self._sent_at = 0.0
        self._lock = _thread.RLock()
        self._is_inside = False
        self._backlog: list[tuple[int, str]] = []
        self._decoders = [(reading, stream, _new_decoder()) for reading, stream in self._pipes.ends]
        self.is_open = False
        self.is_armed = False
        self.pump = Pump(self, self._guard, self._pipes, connection)

    def discard(self) -> None:
        """Let go of connection and pump, in a snapshot."""
        self._lock = _thread.RLock()
        self.is_open = False
        self.pump.discard()
        self._connection.close()

    def detach(self) -> None:
        """Become plain text over fd 1 and 2, in a process that user code forked."""
        self.is_open = False
        self._lock = _thread.RLock()
        self._is_inside = False
        self._plain.is_line_buffered = True
        for reading, _ in self._pipes.ends:
            _close_quietly(reading)
        self.pump.discard()
        self._connection.close()

    # The way of Python-level text.

    def write(self, stream: int, text: str) -> int:
        """Take text for `stream` (1 or 2); returns its length in characters, as a text stream's `write` does."""
        if not self.is_open:
            return self._plain.write(stream, text)
        if type(text) is not str:
            text = _as_plain_text(text)
        try:
            data = _encode_utf8(text)
        except UnicodeEncodeError:
            return self._write_odd(stream, text)
        size = len(data)
        if not self._lock.acquire(False):
            acquire_interruptibly(self._lock)
        if self._is_inside or not self.is_open:
            return self._write_aside(stream, text)
        try:
            self._is_inside = True
            try:
                if text != "\n" and self._poll.poll(0):
                    self._take_pipes()
                used = self._used
                if stream != self._stream or used + size > CAPACITY or self._is_sending:
                    self._make_room(stream, size)
                    used = self._used
                    if size > CAPACITY:
                        self._write_sliced(text)
                        return len(text)
                self._data[used : used + size] = data
                self._used = used + size
                self._end = end = self._end + size
                self._words[_END_WORD] = end
                if data[-1:] == b"\n" and _monotonic() - self._sent_at > _QUIET_SECONDS:
                    self._flush()
                elif not self.is_armed:
                    self.is_armed = True
                    self.pump.wake()
            finally:
                self._is_inside = False
            if self._backlog:
                self._write_backlog()
            return len(text)
        finally:
            self._lock.release()

    def _write_aside(self, stream: int, text: str) -> int:
        """Take text that came while this very thread was writing, or just after the execution ended."""
        if self._is_inside:
            self._backlog.append((stream, text))
            self._lock.release()
            return len(text)
        self._lock.release()
        return self._plain.write(stream, text)

    def flush(self) -> None:
        """Send what waits; not between executions."""
        if not self.is_open:
            self._plain.flush()
            return
        self._locked(self._flush_all)

    def send_message(self, message: Message) -> None:
        """Send a message after all output that was written before it."""
        payload = to_json(message).encode("ascii")
        self._locked(lambda: self._send_after_output(payload))

    # The border between executions, on the main thread.

    def open(self) -> None:
        """Let output flow: an execution begins."""
        self.is_open = True
        if self.pump.is_off_pipes:
            self.pump.wake()

    def close(self, terminal: bytes) -> None:
        """Send all output, then the terminal message; nothing flows until `open`."""
        if not self._lock.acquire(False):
            self._lock.acquire()
        try:
            self._is_inside = True
            if self._poll.poll(0):
                self._take_pipes()
            self._take_partial_characters()
            self.is_open = False
            self._flush()
            self._is_inside = False
            self._connection.send(KIND_JSON, terminal)
        finally:
            self._lock.release()

    def hold(self) -> Any:
        """Return the lock that keeps every other thread out of the output."""
        return self._lock

    def pump_out(self, *, is_due: bool) -> bool:
        """Take what the pipes hold, send it where due; False between executions. For the pump thread."""
        self._lock.acquire()
        try:
            if not self.is_open or self._is_inside:
                self.is_armed = False
                return self.is_open
            self._is_inside = True
            try:
                self._take_pipes()
                if is_due or _monotonic() - self._sent_at > _QUIET_SECONDS:
                    self.is_armed = False
                    self._flush()
                else:
                    self.is_armed = True
            finally:
                self._is_inside = False
            if self._backlog:
                self._write_backlog()
            return True
        finally:
            self._lock.release()

    # Under the lock.

    def _locked(self, action: Callable[[], None]) -> None:
        if not self._lock.acquire(False):
            acquire_interruptibly(self._lock)
        try:
            if self._is_inside:
                return
            self._is_inside = True
            try:
                action()
            finally:
                self._is_inside = False
            if self._backlog:
                self._write_backlog()
        finally:
            self._lock.release()

    def _send_after_output(self, payload: bytes) -> None:
        self._flush_all()
        self._connection.send(KIND_JSON, payload)

    def _flush_all(self) -> None:
        if self._poll.poll(0):
            self._take_pipes()
        self._flush()

    def _flush(self) -> None:
        """Send the ring's content; `begin` moves when it is in the socket."""
        if self._is_sending:
            self._finish_sending()
        used = self._used
        if used:
            payload = output_payload(self._end - used, self._stream, bytes(self._data[:used]))
            self._is_sending = True
            self._connection.send(KIND_OUTPUT, payload)
            self._finish_sending()
            self._sent_at = _monotonic()

    def _finish_sending(self) -> None:
        self._connection.finish_sending()
        self._words[_BEGIN_WORD] = self._end
        self._used = 0
        self._is_sending = False

    def _make_room(self, stream: int, size: int) -> None:
        if self._is_sending or self._used + size > CAPACITY or (stream != self._stream and self._used):
            self._flush()
        self._stream = stream
        self._words[_STREAM_WORD] = stream

    def _put(self, stream: int, data: bytes) -> None:
        if stream != self._stream or self._used + len(data) > CAPACITY or self._is_sending:
            self._make_room(stream, len(data))
        used = self._used
        self._data[used : used + len(data)] = data
        self._used = used + len(data)
        self._end += len(data)
        self._words[_END_WORD] = self._end

    def _write_sliced(self, text: str) -> None:
        step = CAPACITY if text.isascii() else CAPACITY // 4
        for start in range(0, len(text), step):
            self._put(self._stream, _encode_utf8(text[start : start + step]))

    def _write_backlog(self) -> None:
        while self._backlog:
            stream, text = self._backlog.pop(0)
            self.write(stream, text)

    def _write_odd(self, stream: int, text: str) -> int:
        """Write text with lone surrogates."""
        self._locked(lambda: self._put_odd(stream, text))
        return len(text)

    def _put_odd(self, stream: int, text: str) -> None:
        if self._poll.poll(0):
            self._take_pipes()
        step = CAPACITY // 4
        for start in range(0, len(text), step):
            piece = text[start : start + step]
            try:
                self._put(stream, _encode_utf8(piece))
            except UnicodeEncodeError:
                self._send_odd(stream, piece)

    def _send_odd(self, stream: int, piece: str) -> None:
        self._flush()
        data = piece.encode("utf-8", "surrogatepass")
        self._put(stream, data)
        message = output_message(self._end - len(data), stream, piece)
        self._is_sending = True
        self._connection.send_message(message)
        self._finish_sending()

    # What C code and subprocesses wrote.

    def _take_pipes(self) -> None:
        """Put what the pipes hold into the ring, both in turn."""
        for reading, stream, decoder in self._decoders:
            data = self._pipes.read(reading)
            if data:
                self._put_decoded(stream, decoder.decode(data))

    def _take_partial_characters(self) -> None:
        for _, stream, decoder in self._decoders:
            text = decoder.decode(b"", True)
            if text:
                self._put_decoded(stream, text)

    def _put_decoded(self, stream: int, text: str) -> None:
        try:
            data = _encode_utf8(text)
        except UnicodeEncodeError:
            for start in range(0, len(text), CAPACITY // 4):
                self._send_odd(stream, text[start : start + CAPACITY // 4])
            return
        if len(data) <= CAPACITY:
            self._put(stream, data)
        else:
            for start in range(0, len(text), CAPACITY // 4):
                self._put(stream, _encode_utf8(text[start : start + CAPACITY // 4]))
