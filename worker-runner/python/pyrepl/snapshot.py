"""Owns frozen copies of the live process: taking and dropping them, and what one does until it becomes live itself.

A copy is forked far more often than it is needed, so it does next to nothing: every page that it or its parent writes is
copied by the kernel. It blocks all signals and waits for one of them; only then does it connect and take orders.
"""

from __future__ import annotations

import _signal  # pyright: ignore[reportMissingImports]
import os
import signal
import sys
import time

from . import linux
from .processes import send_signal
from .revive import renew_selectors
from .wire import Connection, ConnectionEnded, Message

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any

    from .live import Live


_clock = time.perf_counter
_exit = os._exit
_getpid, _getppid = os.getpid, os.getppid
_set_mask: Callable[[int, Any], Any] = _signal.pthread_sigmask
_wait_for_signal: Callable[[Any], int] = _signal.sigwait
_take_signal: Callable[[Any, float], Any] = _signal.sigtimedwait
_SIG_SETMASK = int(signal.SIG_SETMASK)
_SIGKILL = int(signal.SIGKILL)

WAKE = int(signal.SIGUSR1)
"""The signal on which a copy connects."""
_PARENT_GONE = int(signal.SIGUSR2)
_ORDERS = frozenset((WAKE, _PARENT_GONE))
_EVERY_SIGNAL = frozenset(map(int, signal.valid_signals()))


def take(live: Live, message: Message) -> None:
    """Fork a snapshot. Returns in the live process, and, when the snapshot is told to spawn, in the new live process."""
    drop(live, message.get("drop", ()))
    limit = message.get("max_resident_bytes")
    if isinstance(limit, int):
        # User code may hold every descriptor that it is allowed.
        with linux.SpareDescriptors():
            resident = linux.resident_bytes()
        if resident > limit:
            live.say({"type": "snapshot_declined", "id": message["id"], "resident_bytes": resident})
            return
    live.hidden.reap()
    threads = _lost_threads()
    lock = live.output.hold()
    lock.acquire()
    started = _clock()
    # The copy must not be ended by a signal before it waits for one.
    mask = _set_mask(_SIG_SETMASK, _EVERY_SIGNAL)
    try:
        pid = live.forker.fork()
    except OSError:
        _set_mask(_SIG_SETMASK, mask)
        lock.release()
        with linux.SpareDescriptors():
            resident = linux.resident_bytes()
        live.say({"type": "snapshot_declined", "id": message["id"], "resident_bytes": resident})
        return
    if pid == 0:
        _freeze(live, message["token"], mask)
        return
    _set_mask(_SIG_SETMASK, mask)
    pause = _clock() - started
    lock.release()
    live.hidden.pids.add(pid)
    live.ring.enrol(pid)
    ended = live.hidden.take_ended()
    taken = {
        "type": "snapshot_taken",
        "id": message["id"],
        "pid": pid,
        "ended": ended,
        "threads": threads,
        "pause": pause,
    }
    live.say(taken)


def drop(live: Live, pids: Iterable[object]) -> None:
    """End copies that nobody needs any more."""
    for pid in pids:
        if type(pid) is int and pid != _getpid() and live.ring.is_enrolled(pid):
            send_signal(pid, _SIGKILL)


def reap(live: Live, message: Message) -> list[int]:
    """End copies that nobody needs, wait for that, and return the pids of ours that have ended without its having been told."""
    dropped = message.get("drop", ())
    drop(live, dropped)
    live.hidden.await_ends(dropped)
    live.hidden.reap()
    return live.hidden.take_ended()


def _freeze(live: Live, token: str, mask: Any) -> None:
    """Wait, and then obey on a connection of our own. Returns only in a new live process."""
    try:
        live.disconnect()
        live.output.discard()
        live.hidden.disown()
        while True:
            connection, order = _await_order(live, token)
            while order.get("type") == "serialize":
                if live.forker.fork_for_keeper():
                    _serialize(live, connection, order, mask)
                order = connection.receive_message()
            if order.get("type") != "spawn":
                _exit(0)
            # The copy stays by being copied once more; what was the copy until now goes on as the live process.
            pid = live.forker.fork()
            connection.close()
            if pid:
                _become_live(live, order["token"], pid, mask)
                return
            token = order["snapshot_token"]
    except (ConnectionEnded, OSError):
        _exit(0)
    except BaseException:
        _exit(70)


def _await_order(live: Live, token: str) -> tuple[Connection, Message]:
    """Sleep until there is an order. User code can wake us too; then nobody expects us, and we go back to sleep."""
    while True:
        _await_need(live)
        try:
            connection = _connect(live, token)
        except (ConnectionEnded, OSError):
            continue
        try:
            return connection, connection.receive_message()
        except (ConnectionEnded, OSError):
            connection.close()


def _await_need(live: Live) -> None:
    """Sleep until the keeper wakes us; end when the keeper has ended, which in a pid namespace of its own ends everything."""
    # A parent's threads end one after the other, each with a signal: it may still be there.
    parents = (_getppid(), live.keeper_pid)
    if live.keeper_pid != 1:
        linux.die_with_parent(_PARENT_GONE)
    while _wait_for_signal(_ORDERS) != WAKE:
        if _getppid() not in parents:
            _exit(0)


def _connect(live: Live, token: str) -> Connection:
    with linux.SpareDescriptors():
        connection = Connection(live.channel_path)
    connection.send_message({"type": "hello", "role": "snapshot", "token": token, "pid": _getpid()})
    return connection


def _serialize(live: Live, connection: Connection, order: Message, mask: Any) -> None:
    connection.close()
    _set_mask(_SIG_SETMASK, mask)
    live.serialize(order)
    _exit(0)


def _become_live(live: Live, token: str, copy_pid: int, mask: Any) -> None:
    live.hidden.pids.add(copy_pid)
    live.ring.enrol(copy_pid)
    if live.keeper_pid != 1:
        linux.die_with_parent(_SIGKILL)
    # What came for the copy is not for the live process.
    while _take_signal(_EVERY_SIGNAL, 0) is not None:
        continue
    _set_mask(_SIG_SETMASK, mask)
    renew_selectors()
    live.start(token, copy_pid)


def _lost_threads() -> list[str]:
    """Return the names of the threads that user code has started, which no fork takes along."""
    threading: Any = sys.modules.get("threading")
    if threading is None:
        return []
    try:
        main = threading.main_thread()
        return [str.__str__(str(thread.name))[:200] for thread in threading.enumerate() if thread is not main][:100]
    except Exception:
        return []
