"""Owns snapshots, the frozen copies of the live process: they are taken, wait asleep, and are woken or dropped.

Most snapshots are dropped unused, and the kernel copies every page that a snapshot or its parent writes. So a snapshot does
very little: it blocks all signals and waits for one of them. Only then does it connect and take orders.
"""

from __future__ import annotations

import _signal  # pyright: ignore[reportMissingImports]
import os
import signal
import time

from . import linux
from .checkpoint.save import serialize
from .library import LIBRARY
from .messages import UnknownMessage, refuse_unknown, unsupported
from .processes import lead_group, send_signal
from .revive import renew_selectors
from .wire import ConnectionEnded, connect

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable
    from typing import Any, Never, NoReturn

    from .messages import Serialize, SnapshotRequest, TakeSnapshot
    from .session_state import SessionState
    from .wire import Connection


_clock = time.perf_counter
_close = os.close
_exit = os._exit
_getpid, _getppid = os.getpid, os.getppid
_set_mask: Callable[[int, Any], Any] = _signal.pthread_sigmask
_wait_for_signal: Callable[[Any], int] = _signal.sigwait
_take_signal: Callable[[Any, float], Any] = _signal.sigtimedwait
_SIG_SETMASK = int(signal.SIG_SETMASK)
_SIGKILL = int(signal.SIGKILL)

WAKE = int(signal.SIGUSR1)
"""The signal on which a snapshot connects."""
_PARENT_GONE = int(signal.SIGUSR2)
_ORDERS = frozenset((WAKE, _PARENT_GONE))
_EVERY_SIGNAL = frozenset(map(int, signal.valid_signals()))


def take(state: SessionState, message: TakeSnapshot) -> None:
    """Fork a snapshot. Returns in the live process, and in the snapshot once it has become the new live process."""
    started = _clock()
    drop(state, message.get("drop", ()))
    limit = message.get("max_resident_bytes")
    if limit is not None:
        resident = linux.resident_bytes()
        if resident > limit:
            state.say({"type": "snapshot_declined", "id": message["id"], "resident_bytes": resident})
            return
    state.hidden.reap()
    if message.get("is_resting"):
        linux.give_back_memory()
    threads = _lost_threads()
    lock = state.output.hold()
    lock.acquire()
    # A signal must not end the snapshot before it waits for one.
    mask = _set_mask(_SIG_SETMASK, _EVERY_SIGNAL)
    own_pid = _getpid()
    try:
        pid = state.forker.fork()
    except OSError:
        _set_mask(_SIG_SETMASK, mask)
        lock.release()
        resident = linux.resident_bytes()
        state.say({"type": "snapshot_declined", "id": message["id"], "resident_bytes": resident})
        return
    if pid == 0:
        _close(state.connection.fd)
        _freeze(state, message["token"], mask, own_pid)
        return
    _set_mask(_SIG_SETMASK, mask)
    pause = _clock() - started
    lock.release()
    state.hidden.pids.add(pid)
    state.ring.register(pid)
    ended = state.hidden.take_ended()
    taken = {
        "type": "snapshot_taken",
        "id": message["id"],
        "pid": pid,
        "ended": ended,
        "threads": threads,
        "pause": pause,
        "rehearsal": state.rehearsal_seconds,
    }
    state.say(taken)


def drop(state: SessionState, pids: Iterable[object]) -> None:
    """Kill snapshots that are no longer needed."""
    for pid in pids:
        if type(pid) is int and pid != _getpid() and state.ring.is_registered(pid):
            send_signal(pid, _SIGKILL)


def reap(state: SessionState, dropped: Collection[int]) -> list[int]:
    """Kill snapshots, wait for their end, and return the pids of all that have ended since the last report."""
    drop(state, dropped)
    state.hidden.await_ends(dropped)
    state.hidden.reap()
    return state.hidden.take_ended()


def _freeze(state: SessionState, token: str, mask: Any, parent: int) -> None:
    """Wait, then obey orders on a connection of this process's own. Returns only in a new live process."""
    try:
        # A signal to the group of the live process is not for its copies.
        lead_group()
        order: SnapshotRequest
        connection, order = _await_order(state, token, parent)
        while True:
            if order["type"] == "serialize":
                if state.forker.fork_for_keeper():
                    _serialize(state, connection, order, mask)
                order = connection.receive_message()
            elif order["type"] == "spawn":
                # The snapshot stays by forking once more: the child is the snapshot from now on, this process becomes live.
                parent = _getpid()
                pid = state.forker.fork()
                connection.close()
                if pid:
                    _become_live(state, order["token"], pid, mask)
                    return
                lead_group()
                connection, order = _await_order(state, order.get("snapshot_token", ""), parent)
            elif order["type"] == "exit":
                _exit(0)
            else:
                _refuse(connection, order)
    except (ConnectionEnded, OSError):
        _exit(0)
    except BaseException:
        _exit(70)


def _refuse(connection: Connection, order: Never) -> NoReturn:
    try:
        refuse_unknown(order)
    except UnknownMessage as error:
        connection.send_message(unsupported(error))
    _exit(70)


def _await_order(state: SessionState, token: str, parent: int) -> tuple[Connection, SnapshotRequest]:
    """Sleep until there is an order. If user code sends the signal, the runner refuses the connection, and the sleep goes on."""
    while True:
        _await_wake_up(state, parent)
        # Not before the sleep: most snapshots never wake, and each page that a snapshot writes is a page copied.
        state.discard()
        try:
            connection = _connect(state, token)
        except (ConnectionEnded, OSError):
            continue
        try:
            return connection, connection.receive_message()
        except (ConnectionEnded, OSError):
            connection.close()


def _await_wake_up(state: SessionState, parent: int) -> None:
    """Sleep until the keeper sends WAKE. Without a pid namespace, exit when the keeper has ended; in one, its end kills us."""
    if state.keeper_pid == 1:
        while _wait_for_signal(_ORDERS) != WAKE:
            continue
        return
    # A parent's threads end one after the other, each with a signal: it may still be there.
    parents = (parent, state.keeper_pid)
    linux.die_with_parent(_PARENT_GONE)
    if _getppid() not in parents:
        # The parent and the keeper ended before the kernel was told to send the signal.
        _exit(0)
    while _wait_for_signal(_ORDERS) != WAKE:
        if _getppid() not in parents:
            _exit(0)


def _connect(state: SessionState, token: str) -> Connection:
    with linux.SpareDescriptors():
        connection = connect(state.channel_path)
    connection.send_message({"type": "hello", "role": "snapshot", "token": token, "pid": _getpid()})
    return connection


def _serialize(state: SessionState, connection: Connection, order: Serialize, mask: Any) -> None:
    connection.close()
    _set_mask(_SIG_SETMASK, mask)
    serialize(state, order)
    _exit(0)


def _become_live(state: SessionState, token: str, copy_pid: int, mask: Any) -> None:
    state.hidden.pids.add(copy_pid)
    state.ring.register(copy_pid)
    if state.keeper_pid != 1:
        linux.die_with_parent(_SIGKILL)
    # Signals that arrived for the snapshot are not for the live process.
    while _take_signal(_EVERY_SIGNAL, 0) is not None:
        continue
    _set_mask(_SIG_SETMASK, mask)
    renew_selectors()
    state.start(token, copy_pid)


def _lost_threads() -> list[str]:
    """Return the names of the threads that user code has started; a fork has none of them."""
    threading: Any = LIBRARY.loaded("threading")
    if threading is None:
        return []
    try:
        main = threading.main_thread()
        return [str.__str__(str(thread.name))[:200] for thread in threading.enumerate() if thread is not main][:100]
    except Exception:
        return []
