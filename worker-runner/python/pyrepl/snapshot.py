"""Owns frozen copies of the live process: taking one, and what the copy does until it is dropped or becomes live itself."""

from __future__ import annotations

import os
import sys
import time

from . import linux
from .revive import renew_selectors
from .wire import Connection, ConnectionEnded, Message

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .live import Live


_clock = time.perf_counter
_exit = os._exit
_getpid = os.getpid


def take(live: Live, message: Message) -> None:
    """Fork a snapshot. Returns in the live process, and, when the snapshot is told to spawn, in the new live process."""
    with linux.SpareDescriptors():
        _take(live, message)


def _take(live: Live, message: Message) -> None:
    limit = message.get("max_resident_bytes")
    if isinstance(limit, int):
        resident = linux.resident_bytes()
        if resident > limit:
            live.say({"type": "snapshot_declined", "id": message["id"], "resident_bytes": resident})
            return
    live.hidden.reap()
    threads = _lost_threads()
    lock = live.output.hold()
    lock.acquire()
    started = _clock()
    try:
        pid = live.forker.fork()
    except OSError:
        lock.release()
        live.say({"type": "snapshot_declined", "id": message["id"], "resident_bytes": linux.resident_bytes()})
        return
    if pid == 0:
        _freeze(live, message["token"])
        return
    pause = _clock() - started
    lock.release()
    live.hidden.pids.add(pid)
    live.say({"type": "snapshot_taken", "id": message["id"], "pid": pid, "threads": threads, "pause": pause})


def _freeze(live: Live, token: str) -> None:
    """Wait on a connection of our own for orders. Returns only in a new live process."""
    live.output.discard()
    live.hidden.pids.clear()
    try:
        live.ring.enrol(_getpid())
        connection = Connection(live.channel_path)
        connection.send_message({"type": "hello", "role": "snapshot", "token": token, "pid": _getpid()})
        while True:
            message = connection.receive_message()
            kind = message.get("type")
            if kind == "spawn":
                if live.forker.fork_for_keeper():
                    connection.close()
                    renew_selectors()
                    live.start(message["token"])
                    return
            elif kind == "serialize":
                if live.forker.fork_for_keeper():
                    connection.close()
                    live.ring.enrol(_getpid())
                    live.serialize(message)
                    _exit(0)
            elif kind == "exit":
                _exit(0)
    except (ConnectionEnded, OSError):
        _exit(0)
    except BaseException:
        _exit(70)


def _lost_threads() -> list[str]:
    """Return the names of the threads that user code has started, which no fork takes along."""
    threading: Any = sys.modules.get("threading")
    try:
        main = threading.main_thread()
        return [str.__str__(str(thread.name))[:200] for thread in threading.enumerate() if thread is not main][:100]
    except Exception:
        return []
