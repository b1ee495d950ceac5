"""Owns the answers to calls of user code that make and connect TCP sockets, if a session has a proxy and no loopback.

The system call filter hands such calls to the warden (seccomp_unotify(2)). User code gets a connection to the session's proxy
for a socket, whatever it then does with it, so the decision about `connect` guards nothing: it only tells code early that an
address is out of reach. Numbers and structures: linux/seccomp.h, the same on every architecture.
"""

from __future__ import annotations

import _socket
import errno
import fcntl
import os
import struct

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

_RECEIVE, _SEND, _ADD_DESCRIPTOR = 0xC0502100, 0xC0182101, 0x40182103
_NOTIFICATION_BYTES = 80
_FLAG_SEND = 2
"""Give the descriptor and answer the call with its number, in one step."""

_SYS_SOCKET = {"x86_64": 41, "aarch64": 198}
_ADDRESS = struct.Struct("=H2s4s")
_LOOPBACK = bytes((127, 0, 0, 1))
_MACHINE = os.uname().machine


class SocketCalls:
    """Answers one call at a time. `connect` returns a new connection to the session's proxy."""

    def __init__(self, listener: int, port: int, connect: Callable[[], _socket.socket]) -> None:
        self.fd = listener
        self._port = port
        self._connect = connect

    def answer_one(self) -> None:
        """Take one call and answer it. A caller that was interrupted or has ended needs no answer."""
        notification = bytearray(_NOTIFICATION_BYTES)
        try:
            fcntl.ioctl(self.fd, _RECEIVE, notification)
            call_id, pid, _, number = struct.unpack_from("=QIIi", notification)
            arguments = struct.unpack_from("=6Q", notification, 32)
            if number == _SYS_SOCKET[_MACHINE]:
                self._give_socket(call_id, arguments[1] & 0xFFFFFFFF)
            else:
                self._answer(call_id, self._judge(pid, arguments[1], arguments[2]))
        except OSError:
            return

    def _give_socket(self, call_id: int, kind: int) -> None:
        try:
            connection = self._connect()
        except OSError:
            # The runner is ending, or has too many callers at this moment.
            self._answer(call_id, errno.EAGAIN)
            return
        try:
            connection.setblocking(not kind & _socket.SOCK_NONBLOCK)
            flags = os.O_CLOEXEC if kind & _socket.SOCK_CLOEXEC else 0
            request = struct.pack("=QIIII", call_id, _FLAG_SEND, connection.fileno(), 0, flags)
            fcntl.ioctl(self.fd, _ADD_DESCRIPTOR, request)
        except OSError as error:
            if error.errno != errno.ENOENT:
                # The caller has no descriptor left.
                self._answer(call_id, error.errno or errno.EMFILE)
        finally:
            connection.close()

    def _judge(self, pid: int, address: int, size: int) -> int:
        """Return the error of a `connect`, 0 for the address of the proxy."""
        if size < _ADDRESS.size:
            return errno.EINVAL
        try:
            memory = os.open(f"/proc/{pid}/mem", os.O_RDONLY | os.O_CLOEXEC)
            try:
                content = os.pread(memory, _ADDRESS.size, address)
            finally:
                os.close(memory)
            family, port, host = _ADDRESS.unpack(content)
        except (OSError, OverflowError, struct.error):
            return errno.EFAULT
        if family != _socket.AF_INET:
            return errno.EPERM
        is_proxy = host == _LOOPBACK and int.from_bytes(port, "big") == self._port
        return 0 if is_proxy else errno.ECONNREFUSED

    def _answer(self, call_id: int, error: int) -> None:
        fcntl.ioctl(self.fd, _SEND, struct.pack("=QqiI", call_id, 0, -error, 0))
