"""Owns the relay: the process of a session that carries connections from the loopback of the sandbox to the runner's proxy.

The keeper listens on the loopback before user code exists, so nothing else takes the proxy's place. It forks a relay when
somebody connects; the relay exits when nobody has been connected for a while. The relay never runs user code, understands
nothing of what it carries, and holds one piece for each direction at most.
"""

from __future__ import annotations

import _socket
import os
import select

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

_LOOPBACK = "127.0.0.1"
_BACKLOG = 512
_MAX_PAIRS = 64
_PIECE_BYTES = 32768
_QUIET_MS = 5_000
_READ, _WRITE = select.POLLIN, select.POLLOUT
_REFUSAL = b"HTTP/1.1 503 %s\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
_NO_PROCESS = _REFUSAL % b"The session has no process left for its proxy"
_TOO_MANY = _REFUSAL % b"The session has too many connections"


class Entrance:
    """The keeper's end: the listening socket, and the pid of the relay that serves it, 0 if there is none."""

    def __init__(self, egress: str) -> None:
        port, _, self._path = egress.partition(":")
        self._listener = _socket.socket(_socket.AF_INET, _socket.SOCK_STREAM)
        self._listener.setsockopt(_socket.SOL_SOCKET, _socket.SO_REUSEADDR, 1)
        self._listener.bind((_LOOPBACK, int(port)))
        self._listener.listen(_BACKLOG)
        self._listener.setblocking(False)
        self.fd = self._listener.fileno()
        self.pid = 0

    def close(self) -> None:
        """Give up the socket, in a process that has no use for it."""
        self._listener.close()

    def refuse(self) -> None:
        """Turn away who has connected: no process is left for a relay."""
        try:
            descriptor, _ = self._listener._accept()  # type: ignore[attr-defined]
        except OSError:
            return
        _turn_away(_socket.socket(fileno=descriptor), _NO_PROCESS)

    def serve(self) -> NoReturn:
        """Carry connections until nobody is connected for a while."""
        _Relay(self._listener, self._path).run()


def _send(sock: _socket.socket, data: bytes) -> int:
    """Return how much the kernel has taken; it tells when there is room again."""
    try:
        return sock.send(data, _socket.MSG_NOSIGNAL)
    except BlockingIOError:
        return 0


def _turn_away(caller: _socket.socket, reason: bytes) -> None:
    try:
        caller.send(reason, _socket.MSG_DONTWAIT | _socket.MSG_NOSIGNAL)
    except OSError:
        pass  # The caller is gone.
    finally:
        caller.close()


class _End:
    """One side of a connection that is carried."""

    __slots__ = ("has_ended", "other", "pending", "sock")

    def __init__(self, sock: _socket.socket) -> None:
        self.sock = sock
        self.other = self
        self.pending = b""
        """The bytes from the other side that this side has not taken yet."""
        self.has_ended = False
        """Whether nothing more comes from this side."""


class _Relay:
    def __init__(self, listener: _socket.socket, path: str) -> None:
        self._listener = listener
        self._path = path
        self._ends: dict[int, _End] = {}
        self._poll = select.poll()

    def run(self) -> NoReturn:
        self._poll.register(self._listener.fileno(), _READ)
        while True:
            events = self._poll.poll(None if self._ends else _QUIET_MS)
            if not events and not self._ends:
                # Who connects from now on is met by the keeper.
                os._exit(0)
            for fd, event in events:
                if fd == self._listener.fileno():
                    self._accept()
                elif fd in self._ends:
                    self._move(self._ends[fd], event)

    def _accept(self) -> None:
        try:
            descriptor, _ = self._listener._accept()  # type: ignore[attr-defined]
        except OSError:
            return
        caller = _socket.socket(fileno=descriptor)
        if len(self._ends) >= 2 * _MAX_PAIRS:
            _turn_away(caller, _TOO_MANY)
            return
        inner = _End(caller)
        outer = _End(_socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM))
        inner.other, outer.other = outer, inner
        try:
            outer.sock.connect(self._path)
        except OSError:
            inner.sock.close()
            outer.sock.close()
            return
        for end in (inner, outer):
            end.sock.setblocking(False)
            self._ends[end.sock.fileno()] = end
            self._poll.register(end.sock.fileno(), _READ)

    def _move(self, end: _End, event: int) -> None:
        try:
            if event & _WRITE:
                self._flush(end)
            if event & ~_WRITE and not end.has_ended and not end.other.pending:
                self._read(end)
            elif event & select.POLLERR:
                self._close(end)
        except BlockingIOError:
            return
        except OSError:
            self._close(end)

    def _read(self, end: _End) -> None:
        piece = end.sock.recv(_PIECE_BYTES)
        if piece:
            end.other.pending = piece
        else:
            end.has_ended = True
        self._flush(end.other)

    def _flush(self, end: _End) -> None:
        """Send what is pending to this side. Only once all of it is taken, the other side is read again."""
        source = end.other
        if end.pending:
            end.pending = end.pending[_send(end.sock, end.pending) :]
        if source.has_ended and not end.pending:
            if end.has_ended and not source.pending:
                self._close(end)
                return
            end.sock.shutdown(_socket.SHUT_WR)
        self._watch(end)
        self._watch(source)

    def _watch(self, end: _End) -> None:
        """Wait for what can be done with this side; not at all for one that can do nothing, which may have hung up."""
        wanted = (_WRITE if end.pending else 0) | (0 if end.has_ended or end.other.pending else _READ)
        fd = end.sock.fileno()
        if wanted:
            self._poll.register(fd, wanted)
        else:
            self._ignore(fd)

    def _close(self, end: _End) -> None:
        for each in (end, end.other):
            fd = each.sock.fileno()
            self._ends.pop(fd, None)
            self._ignore(fd)
            each.sock.close()

    def _ignore(self, fd: int) -> None:
        try:
            self._poll.unregister(fd)
        except KeyError:
            return  # It was not waited for.
