"""Owns everything the session prints: Python-level writes, the bytes on fd 1 and 2, their order and their way out."""

from __future__ import annotations

import _thread
import codecs
import os
import select
import time

from .guard import Guard, acquire_interruptibly, deliver
from .pump import Pump
from .ring import CAPACITY, Ring
from .wire import KIND_JSON, KIND_OUTPUT, MAX_JSON_BYTES, Connection, Message, to_json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

_QUIET_SECONDS = 0.001
_LARGE_CHARS = CAPACITY // 4
_END_WORD, _BEGIN_WORD, _STREAM_WORD = 1, 0, 2

_monotonic = time.monotonic
_read = os.read
_write = os.write
_encode_utf8 = str.encode


_getpid = os.getpid
_utf_8_decode = codecs.utf_8_decode


def _as_plain_text(text: object) -> str:
    """Return the text of a str subclass without running its methods; TypeError for anything else."""
    if not isinstance(text, str):
        raise TypeError(f"write() argument must be str, not {type(text).__name__}")
    return str.__str__(text)


class _Decoder:
    """Decodes a pipe's bytes as they come, in C alone: the codecs module works with what user code left of builtins."""

    __slots__ = ("_held",)

    def __init__(self) -> None:
        self._held = b""

    def decode(self, data: bytes, is_final: bool = False) -> str:
        """Return the text so far; the beginning of a character is held back until the rest comes."""
        data = self._held + data
        text, used = _utf_8_decode(data, "surrogateescape", is_final)
        self._held = data[used:]
        return text


def _close_quietly(descriptor: int) -> None:
    try:
        os.close(descriptor)
    except OSError:
        return


def _nothing() -> None:
    return None


def _refuse() -> None:
    raise RuntimeError("nothing can be shown or asked from here")


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
        self._plain = PlainOutput()
        self.is_open = False
        self.is_armed = False
        self._is_inside = False
        self._renew_lock()

    def start(self, connection: Connection) -> None:
        """Begin anew on `connection`, in a process that was just forked."""
        self._connection = connection
        self._ring.start(_getpid())
        self._used = 0
        self._base = 0
        self._stream = 1
        self._is_sending = False
        self._sent_at = 0.0
        self._renew_lock()
        self._is_inside = False
        self._backlog: list[tuple[int, str]] = []
        # An epoll set of this process alone: asking it costs two thirds of asking poll.
        readiness = select.epoll()
        for reading, _ in self._pipes.ends:
            readiness.register(reading, select.EPOLLIN)
        self._readiness = readiness
        self._waiting = readiness.poll
        self._decoders = [(reading, stream, _Decoder()) for reading, stream in self._pipes.ends]
        self.is_open = False
        self.is_armed = False
        self.pump = Pump(self, self._guard, self._pipes, connection)
        self._postponed = self.pump.postponed

    def discard(self) -> None:
        """Let go of connection and pump, in a snapshot."""
        self._renew_lock()
        self.is_open = False
        self.pump.discard()
        self._readiness.close()

    def detach(self) -> None:
        """Become plain text over fd 1 and 2, in a process that user code forked."""
        self.is_open = False
        self._renew_lock()
        self._is_inside = False
        self._plain.is_line_buffered = True
        for reading, _ in self._pipes.ends:
            _close_quietly(reading)
        self.pump.discard()
        self._readiness.close()
        self._connection.close()

    # The way of Python-level text.

    def write(self, stream: int, text: str) -> int:
        """Take text for `stream` (1 or 2); returns its length in characters, as a text stream's `write` does."""
        if type(text) is not str:
            text = _as_plain_text(text)
        length = len(text)
        if not self.is_open:
            return self._plain.write(stream, text)
        if length > _LARGE_CHARS:
            return self._write_pieces(stream, text)
        try:
            data = _encode_utf8(text)
        except UnicodeEncodeError:
            return self._write_pieces(stream, text)
        if not self._acquire(False):
            acquire_interruptibly(self._lock)
        if self._is_inside or not self.is_open:
            return self._write_aside(stream, text)
        self._is_inside = True
        try:
            # A line end belongs to the text before it: what came into the pipes between comes after both.
            is_line_end = text == "\n"
            if not is_line_end and self._waiting(0, 1):
                self._take_pipes()
            used = self._used
            after = used + len(data)
            if stream != self._stream or after > CAPACITY or self._is_sending:
                self._make_room(stream, len(data))
                used = self._used
                after = used + len(data)
            self._data[used:after] = data
            self._used = after
            self._words[_END_WORD] = self._base + after
            if is_line_end:
                if _monotonic() - self._sent_at > _QUIET_SECONDS:
                    self._flush()
                elif not self.is_armed:
                    self._arm()
            elif not self.is_armed:
                self._send_soon(text)
        finally:
            self._is_inside = False
            if self._backlog:
                self._write_backlog()
            self._release()
        if self._postponed:
            deliver(self._postponed)
        return length

    def _send_soon(self, text: str) -> None:
        """Send a line at once where it was quiet, anything else within the pump's time."""
        if text[-1:] == "\n" and _monotonic() - self._sent_at > _QUIET_SECONDS:
            self._flush()
        else:
            self._arm()

    def _arm(self) -> None:
        self.is_armed = True
        self.pump.arm()

    def _write_aside(self, stream: int, text: str) -> int:
        """Take text that came while this very thread was writing, or just after the execution ended."""
        if self._is_inside:
            self._backlog.append((stream, text))
            self._release()
            return len(text)
        self._release()
        return self._plain.write(stream, text)

    def _set_aside(self, stream: int, text: str) -> None:
        if self._is_inside:
            self._backlog.append((stream, text))
        else:
            self._plain.write(stream, text)

    def flush(self) -> None:
        """Send what waits; not between executions."""
        if not self.is_open:
            self._plain.flush()
            return
        self._locked(self._flush_all, _nothing)

    def send_message(self, message: Message) -> None:
        """Send a message after all output that was written before it."""
        payload = to_json(message).encode("ascii")
        if len(payload) > MAX_JSON_BYTES:
            raise ValueError(f"{len(payload)} bytes as JSON are more than {MAX_JSON_BYTES}")
        self._locked(lambda: self._send_after_output(payload), _refuse)

    # The border between executions, on the main thread.

    def open(self) -> None:
        """Let output flow: an execution begins."""
        self.is_open = True
        if self.pump.is_off_pipes:
            self.pump.wake()

    def close(self, terminal: bytes) -> None:
        """Send all output, then the terminal message; nothing flows until `open`."""
        if not self._acquire(False):
            self._acquire()
        try:
            self._is_inside = True
            if self._waiting(0, 1):
                self._take_pipes()
            self._take_partial_characters()
            self.is_open = False
            self._flush()
            self._is_inside = False
            if self._backlog:
                self._write_backlog()
            self._connection.send(KIND_JSON, terminal)
        finally:
            self._release()

    def hold(self) -> Any:
        """Return the lock that keeps every other thread out of the output."""
        return self._lock

    def _renew_lock(self) -> None:
        self._lock = _thread.RLock()
        self._acquire = self._lock.acquire
        self._release = self._lock.release

    def pump_out(self, *, is_due: bool) -> bool:
        """Take what the pipes hold, send it where due; False between executions. For the pump thread."""
        self._acquire()
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
                elif not self.is_armed:
                    self._arm()
            finally:
                self._is_inside = False
            if self._backlog:
                self._write_backlog()
            return True
        finally:
            self._release()

    # Under the lock.

    def _locked(self, action: Callable[[], None], otherwise: Callable[[], None]) -> None:
        """Run `action` under the lock; `otherwise` where this very thread is writing, or the execution has ended."""
        if not self._acquire(False):
            acquire_interruptibly(self._lock)
        try:
            if self._is_inside or not self.is_open:
                otherwise()
                return
            self._is_inside = True
            try:
                action()
            finally:
                self._is_inside = False
            if self._backlog:
                self._write_backlog()
        finally:
            self._release()

    def _send_after_output(self, payload: bytes) -> None:
        self._flush_all()
        self._connection.send(KIND_JSON, payload)

    def _flush_all(self) -> None:
        if self._waiting(0, 1):
            self._take_pipes()
        self._flush()

    def _flush(self) -> None:
        """Send the ring's content; `begin` moves when it is in the socket."""
        self._finish_sending()
        used = self._used
        if used:
            payload = output_payload(self._base, self._stream, bytes(self._data[:used]))
            self._is_sending = True
            self._connection.send(KIND_OUTPUT, payload)
            self._finish_sending()
            self._sent_at = _monotonic()

    def _finish_sending(self) -> None:
        """Finish the frame that an interrupt left unfinished, and take what it carried out of the ring."""
        self._connection.finish_sending()
        if self._is_sending:
            self._base += self._used
            self._words[_BEGIN_WORD] = self._base
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
        self._used = after = used + len(data)
        self._data[used:after] = data
        self._words[_END_WORD] = self._base + after

    def _write_backlog(self) -> None:
        while self._backlog:
            stream, text = self._backlog.pop(0)
            self.write(stream, text)

    def _write_pieces(self, stream: int, text: str) -> int:
        """Write long text, or text with lone surrogates, without a second copy of all of it."""
        self._locked(lambda: self._put_pieces(stream, text), lambda: self._set_aside(stream, text))
        return len(text)

    def _put_pieces(self, stream: int, text: str) -> None:
        if self._waiting(0, 1):
            self._take_pipes()
        step = CAPACITY if text.isascii() else _LARGE_CHARS
        for start in range(0, len(text), step):
            piece = text[start : start + step]
            try:
                data = _encode_utf8(piece)
            except UnicodeEncodeError:
                self._send_odd(stream, piece)
            else:
                self._put(stream, data)
        self._flush()

    def _send_odd(self, stream: int, text: str) -> None:
        """Send text that UTF-8 cannot carry, by way of the ring like any other."""
        for start in range(0, len(text), _LARGE_CHARS):
            piece = text[start : start + _LARGE_CHARS]
            self._flush()
            data = piece.encode("utf-8", "surrogatepass")
            self._put(stream, data)
            payload = to_json(output_message(self._base, stream, piece)).encode("ascii")
            self._is_sending = True
            self._connection.send(KIND_JSON, payload)
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
        for start in range(0, len(text), _LARGE_CHARS):
            piece = text[start : start + _LARGE_CHARS]
            try:
                data = _encode_utf8(piece)
            except UnicodeEncodeError:
                self._send_odd(stream, piece)
            else:
                self._put(stream, data)
