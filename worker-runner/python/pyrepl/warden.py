"""Owns the warden: the process outside the Landlock rules that starts one session's keeper and ends with all that it started.

Without namespaces nothing ends a session's processes together, and nothing hides the sockets of the host. So user code may not
make sockets at all, and the warden connects to the runner for the session's own processes. It reads nothing else from them.
"""

from __future__ import annotations

import _socket
import os
import select
import signal

from . import file_room, linux, process_room, processes
from .landlock_entry import confine
from .rendezvous import DOOR_FD, take_callers, take_listener
from .socket_calls import SocketCalls

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, NoReturn

    from .landlock_entry import WardEntry

_SIGKILL = int(signal.SIGKILL)
_MEASURE = int(signal.SIGUSR1)
_HELD_BACK = frozenset((signal.SIGTERM, signal.SIGUSR1, signal.SIGCHLD))
_CONNECT_SECONDS = 2.0
_FAILED = 70
"""Exit code of a keeper that could not be confined."""
_TOO_MUCH = 73
"""Exit code of a warden that ended its session because it took more than it may."""


def guard(entry: WardEntry, seccomp_filter: bytes, serve: Callable[[], NoReturn]) -> NoReturn:
    """Start the keeper, which runs `serve`, and exit as it does, once no process of the session is left."""
    signal.pthread_sigmask(signal.SIG_BLOCK, _HELD_BACK)
    linux.set_dumpable(False)
    linux.adopt_orphans()
    if os.getsid(0) != os.getpid():
        os.setsid()
    if entry["terminal"]:
        _take_terminal(entry["terminal"])
    if entry["niceness"]:
        os.nice(entry["niceness"])
    # Not a stream, so that each request of the processes that share it stays whole.
    own_end, door = _socket.socketpair(_socket.AF_UNIX, _socket.SOCK_SEQPACKET)
    warden = os.getpid()
    keeper = os.fork()
    if keeper == 0:
        _become_keeper(entry, seccomp_filter, door, warden, serve)
    door.close()
    null = os.open("/dev/null", os.O_RDWR)
    os.dup2(null, 0)
    os.dup2(null, 1)
    listener = take_listener(own_end) if entry["egress"] else None
    if entry["egress"] and listener is None:
        # Without an answer, every call that makes a socket would wait for ever.
        os.kill(keeper, _SIGKILL)
    _Warden(entry, own_end, keeper, listener).run()


def _become_keeper(
    entry: WardEntry, seccomp_filter: bytes, door: _socket.socket, warden: int, serve: Callable[[], NoReturn]
) -> NoReturn:
    try:
        os.dup2(door.detach(), DOOR_FD, inheritable=False)
        os.closerange(DOOR_FD + 1, os.sysconf("SC_OPEN_MAX"))
        confine(entry, seccomp_filter, warden)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _HELD_BACK)
    except BaseException as error:
        os.write(2, f"{type(error).__name__}: {error}\n".encode("utf-8", "replace"))
        os._exit(_FAILED)
    serve()


def _take_terminal(path: str) -> None:
    """Make a connection to the runner the standard input and error, and close every other descriptor."""
    terminal = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
    terminal.connect(path)
    descriptor = terminal.detach()
    null = os.open("/dev/null", os.O_RDWR)
    os.dup2(descriptor, 0)
    os.dup2(null, 1)
    os.dup2(descriptor, 2)
    os.closerange(3, os.sysconf("SC_OPEN_MAX"))


class _Warden:
    def __init__(self, entry: WardEntry, own_end: _socket.socket, keeper: int, listener: int | None) -> None:
        self._entry = entry
        port, _, self._egress = entry["egress"].partition(":")
        self._calls = None if listener is None else SocketCalls(listener, int(port), self._connect_to_proxy)
        self._own_end = own_end
        self._keeper = keeper
        own_end.setblocking(False)
        self._wake_read, wake_write = os.pipe()
        for descriptor in (self._wake_read, wake_write):
            os.set_blocking(descriptor, False)
        signal.set_wakeup_fd(wake_write, warn_on_full_buffer=False)
        for signum in _HELD_BACK:
            signal.signal(signum, _on_signal)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _HELD_BACK)

    def run(self) -> NoReturn:
        """Serve the session's processes until the keeper ends, the runner asks for the end, or the files take too much."""
        poll = select.poll()
        poll.register(self._own_end.fileno(), select.POLLIN)
        poll.register(self._wake_read, select.POLLIN)
        calls = self._calls
        if calls is not None:
            poll.register(calls.fd, select.POLLIN)
        while True:
            events = dict(poll.poll())
            if self._wake_read in events:
                self._obey(os.read(self._wake_read, 4096))
                continue
            door, call = (events.get(fd, 0) for fd in (self._own_end.fileno(), -1 if calls is None else calls.fd))
            if door & select.POLLIN:
                take_callers(self._own_end, self._connect)
            elif door:
                # Every process of the session has closed its end. The keeper's exit follows.
                poll.unregister(self._own_end.fileno())
            if calls is not None and call & select.POLLIN:
                calls.answer_one()
            elif calls is not None and call:
                # No process is left that could call.
                poll.unregister(calls.fd)

    def _obey(self, signals: bytes) -> None:
        if signal.SIGTERM in signals:
            self._finish(128 + _SIGKILL)
        if signal.SIGCHLD in signals:
            self._reap()
        if _MEASURE in signals:
            self._measure()

    def _measure(self) -> None:
        if not process_room.has_room(self._entry, self._keeper):
            self._refuse(b"the session has more processes than it may, so it was ended\n")
        if not file_room.is_within(self._entry, self._keeper):
            self._refuse(b"the files of the session take more than they may, so it was ended\n")

    def _refuse(self, reason: bytes) -> NoReturn:
        os.write(2, reason)
        self._finish(_TOO_MUCH)

    def _reap(self) -> None:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            if pid == self._keeper:
                self._finish(128 + os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status))

    def _connect(self) -> _socket.socket:
        return _connect_to(self._entry["channel"])

    def _connect_to_proxy(self) -> _socket.socket:
        return _connect_to(self._egress)

    def _finish(self, code: int) -> NoReturn:
        """End every process of the session, and exit."""
        user = self._entry["user"]
        if user is not None:
            _kill_user(user)
        processes.end_others((), _await_any)
        while True:
            try:
                os.waitpid(-1, 0)
            except ChildProcessError:
                os._exit(code)


def _connect_to(path: str) -> _socket.socket:
    connection = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM | _socket.SOCK_CLOEXEC)
    # A backlog that is full must not keep the end of the session waiting for long.
    connection.settimeout(_CONNECT_SECONDS)
    try:
        connection.connect(path)
    except OSError:
        connection.close()
        raise
    connection.setblocking(True)
    return connection


def _kill_user(user: int) -> None:
    """Kill every process of a user. The kernel does it in one step, in which none of them can fork."""
    pid = os.fork()
    if pid == 0:
        try:
            os.setresgid(user, user, user)
            os.setresuid(user, user, user)
            os.kill(-1, _SIGKILL)
        finally:
            os._exit(0)
    os.waitpid(pid, 0)


def _await_any() -> None:
    """Reap a child if one has ended, otherwise let a moment pass."""
    try:
        if os.waitpid(-1, os.WNOHANG)[0] == 0:
            select.poll().poll(1)
    except ChildProcessError:
        return


def _on_signal(_signum: int, _frame: Any) -> None:
    """Exist, so that the signal reaches the wakeup descriptor."""
