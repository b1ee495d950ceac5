"""Owns the zygote: a warmed Python with one thread, from which keepers are forked into sandboxes.

It holds no secret and reads nothing from a sandbox. It does not even read the runner's requests: the process forked for a
request does that, so nothing of one session stays in the memory that the next one inherits.
"""

from __future__ import annotations

import gc
import os
import select
import signal
import sys

from . import environment, keeper_start, linux
from .filled_memory import fill_holes
from .import_ahead import import_ahead
from .python_facts import serializer_file
from .rendezvous import CHANNEL
from .reseed import reseed
from .sandbox_entry import confine, join_skeleton
from .warden import guard
from .wire import from_json, to_json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, NoReturn

    from .keeper_start import MadeSession
    from .landlock_entry import WardEntry
    from .sandbox_entry import Entry

_MAX_REQUEST_BYTES = 1 << 20
_ENDED = 3
"""Exit code of a process that found no request: the runner is gone."""


class _Reports:
    """JSON lines to the runner."""

    def __init__(self) -> None:
        self._fd = os.dup(1)
        null = os.open("/dev/null", os.O_RDWR)
        os.dup2(null, 1)
        os.close(null)

    def send(self, **fields: Any) -> None:
        os.write(self._fd, to_json(fields).encode("ascii") + b"\n")


def main(at_start: frozenset[str]) -> NoReturn:
    """Serve the runner until it closes standard input."""
    linux.set_dumpable(False)
    linux.forbid_core_dumps()
    linux.adopt_orphans()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    reports = _Reports()
    settings = _read_request()
    if settings is None:
        os._exit(0)
    own_imports = environment.prepare(at_start)
    # Compiled files would appear in folders of the operator's, with this user's rights.
    sys.dont_write_bytecode = True
    for name in settings["preload"]:
        import_ahead(name, 2)
    sys.dont_write_bytecode = False
    threads = _count_threads()
    if threads != 1:
        reports.send(failed=f"PRELOAD: the modules have started {threads - 1} threads, which a fork does not have")
        os._exit(1)
    wake_read, wake_write = os.pipe()
    for descriptor in (wake_read, wake_write):
        os.set_blocking(descriptor, False)
    signal.signal(signal.SIGCHLD, _on_child)
    signal.set_wakeup_fd(wake_write, warn_on_full_buffer=False)
    seccomp_filter = bytes.fromhex(settings["filter"])
    gc.disable()
    session = keeper_start.make_session(own_imports)
    gc.collect()
    fill_holes()
    gc.freeze()
    reports.send(ready=True, files=_source_files())
    poll = select.poll()
    poll.register(0, select.POLLIN)
    poll.register(wake_read, select.POLLIN)
    while True:
        events = dict(poll.poll())
        if wake_read in events:
            _drain(wake_read)
        if 0 in events:
            _fork_one(reports, seccomp_filter, session)
        _report_ended(reports)


def _fork_one(reports: _Reports, seccomp_filter: bytes, session: MadeSession) -> None:
    pid = os.fork()
    if pid == 0:
        try:
            _enter(reports, seccomp_filter, session)
        finally:
            os._exit(1)
    _, status = os.waitpid(pid, 0)
    code = os.waitstatus_to_exitcode(status)
    if code == _ENDED:
        os._exit(0)
    reports.send(entered=code)


def _enter(reports: _Reports, seccomp_filter: bytes, session: MadeSession) -> None:
    """Read the request, join the sandbox, and fork the keeper there; never returns."""
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    request = _read_request()
    if request is None:
        os._exit(_ENDED)
    if "skeleton_pid" not in request:
        _enter_by_warden(reports, seccomp_filter, session, request)
    entry: Entry = request
    try:
        token, log = join_skeleton(entry)
        pid = os.fork()
    except OSError as error:
        reports.send(id=entry["id"], error=str(error)[:500])
        os._exit(1)
    if pid:
        reports.send(id=entry["id"], pid=pid)
        os._exit(0)
    try:
        confine(entry, seccomp_filter, token, log)
        reseed()
    except BaseException as error:
        os.write(log, f"{type(error).__name__}: {error}\n".encode("utf-8", "replace"))
        os._exit(70)
    keeper_start.serve_warm(session, entry["channel"], entry["program"], entry["workspace"], entry["egress"])


def _enter_by_warden(reports: _Reports, seccomp_filter: bytes, session: MadeSession, entry: WardEntry) -> NoReturn:
    """Fork the warden of a session without namespaces. The zygote adopts it and reports its end."""

    def serve() -> NoReturn:
        reseed()
        keeper_start.serve_warm(session, CHANNEL, entry["program"], entry["workspace"])

    pid = os.fork()
    if pid:
        reports.send(id=entry["id"], pid=pid)
        os._exit(0)
    try:
        guard(entry, seccomp_filter, serve)
    except BaseException as error:
        os.write(2, f"{type(error).__name__}: {error}\n".encode("utf-8", "replace"))
    finally:
        os._exit(70)


def _read_request() -> Any:
    """Return the next request, None at the end of input; reads not one byte more."""
    size = int.from_bytes(_read_exactly(4), "little")
    if not 0 < size <= _MAX_REQUEST_BYTES:
        return None
    return from_json(_read_exactly(size))


def _read_exactly(size: int) -> bytes:
    data = b""
    while len(data) < size:
        piece = os.read(0, size - len(data))
        if not piece:
            return b""
        data += piece
    return data


def _report_ended(reports: _Reports) -> None:
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if pid == 0:
            return
        killed = os.WIFSIGNALED(status)
        reports.send(
            exited=pid,
            code=None if killed else os.WEXITSTATUS(status),
            signal=os.WTERMSIG(status) if killed else None,
        )


def _count_threads() -> int:
    """Return the number of threads; libraries such as OpenBLAS end theirs before a fork and start them again when needed."""
    if len(os.listdir("/proc/self/task")) > 1:
        pid = os.fork()
        if pid == 0:
            os._exit(0)
        os.waitpid(pid, 0)
    return len(os.listdir("/proc/self/task"))


def _source_files() -> list[str]:
    """Return the files that the loaded modules and the serializer's facts come from; if one changes, the zygote is replaced."""
    found = {getattr(module, "__file__", None) for module in list(sys.modules.values())} | {serializer_file()}
    return sorted(path for path in found if isinstance(path, str))


def _drain(descriptor: int) -> None:
    try:
        while len(os.read(descriptor, 4096)) == 4096:
            continue
    except BlockingIOError:
        return


def _on_child(_signum: int, _frame: Any) -> None:
    """Exist, so that SIGCHLD reaches the wakeup descriptor."""
