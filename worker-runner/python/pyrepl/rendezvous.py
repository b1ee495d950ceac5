"""Owns how a process that may not make sockets gets a connection: the warden makes it and passes it on as a descriptor.

The processes of a session share one end of a socket pair. A caller makes a stream pair, which the system call filter allows,
and sends one end of it through the shared one; the connection comes back through the pair. So callers cannot take one
another's answers.
"""

from __future__ import annotations

import _socket
import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

DOOR_FD = 3
"""The descriptor of the shared end in every process of the session."""

CHANNEL = "warden:"
"""What stands in place of the path of the runner's socket."""

_ANSWER_SECONDS = 10.0
_CONFINED_SECONDS = 60.0
_REQUEST = b"c"
_LISTENER = b"l"
_INT_BYTES = 4
_ROOM_FOR_DESCRIPTORS = 64
_socketpair, _Socket = _socket.socketpair, _socket.socket
_close = os.close


def call(door: int = DOOR_FD) -> _socket.socket:
    """Return a new connection to the runner; OSError if the warden gives none."""
    mine, theirs = _socketpair(_socket.AF_UNIX, _socket.SOCK_STREAM | _socket.SOCK_CLOEXEC)
    try:
        shared = _Socket(fileno=door)
        try:
            shared.sendmsg([_REQUEST], [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, _packed(theirs.fileno()))])
        finally:
            shared.detach()
        theirs.close()
        mine.settimeout(_ANSWER_SECONDS)
        _, descriptors = _receive(mine)
    finally:
        mine.close()
        theirs.close()
    if len(descriptors) != 1:
        raise OSError("the warden gave no connection")
    return _Socket(fileno=descriptors[0])


def passed_on(channel: str) -> list[tuple[int, int, int]]:
    """Return what `os.posix_spawn` has to do so that a program of ours which it starts can call the warden too."""
    return [(os.POSIX_SPAWN_DUP2, DOOR_FD, DOOR_FD)] if channel == CHANNEL else []


def hand_over(listener: int) -> None:
    """Give the warden the descriptor by which it answers calls of this process, before user code exists."""
    shared = _Socket(fileno=DOOR_FD)
    try:
        shared.sendmsg([_LISTENER], [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, _packed(listener))])
    finally:
        shared.detach()
        _close(listener)


def take_listener(own_end: _socket.socket) -> int | None:
    """Return the descriptor that the keeper hands over; None if the keeper has ended, or takes too long."""
    own_end.settimeout(_CONFINED_SECONDS)
    try:
        request, descriptors = _receive(own_end)
    except OSError:
        return None
    return descriptors[0] if request == _LISTENER and len(descriptors) == 1 else None


def take_callers(own_end: _socket.socket, connect: Callable[[], _socket.socket]) -> None:
    """Answer one caller with a connection that `connect` makes; whatever else is sent is thrown away."""
    try:
        request, descriptors = _receive(own_end)
    except OSError:
        return
    try:
        if request == _REQUEST and len(descriptors) == 1:
            _answer(descriptors[0], connect)
    except OSError:
        return  # The caller, or the runner, is gone.
    finally:
        for descriptor in descriptors:
            _close(descriptor)


def _answer(descriptor: int, connect: Callable[[], _socket.socket]) -> None:
    caller = _Socket(fileno=descriptor)
    try:
        connection = connect()
        try:
            rights = [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, _packed(connection.fileno()))]
            caller.sendmsg([_REQUEST], rights, _socket.MSG_DONTWAIT | _socket.MSG_NOSIGNAL)
        finally:
            connection.close()
    finally:
        caller.detach()


def _receive(sock: _socket.socket) -> tuple[bytes, list[int]]:
    """Return the bytes and the descriptors of one message."""
    data, ancillary, _, _ = sock.recvmsg(8, _ROOM_FOR_DESCRIPTORS, _socket.MSG_CMSG_CLOEXEC)
    descriptors: list[int] = []
    for level, kind, content in ancillary:
        if level == _socket.SOL_SOCKET and kind == _socket.SCM_RIGHTS:
            whole = len(content) - len(content) % _INT_BYTES
            numbers = range(0, whole, _INT_BYTES)
            descriptors += [int.from_bytes(content[at : at + _INT_BYTES], "little") for at in numbers]
    return data, descriptors


def _packed(descriptor: int) -> bytes:
    return descriptor.to_bytes(_INT_BYTES, "little")
