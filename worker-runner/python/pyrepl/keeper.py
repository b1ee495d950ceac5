"""Owns the keeper: pid 1 of the sandbox, which forks, signals, kills and reaps the other processes. It never runs user code."""

from __future__ import annotations

import gc
import os
import select
import signal
import sys

from . import environment, linux, processes
from .files.service import serve as serve_files
from .import_ahead import import_ahead
from .leftover_output import empty_pipes, send_leftover_output
from .live import prepare_process
from .messages import UnknownMessage, refuse_unknown, unsupported
from .relay import Entrance
from .rendezvous import passed_on
from .wire import ConnectionEnded, connect, to_json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, NoReturn

    from .live import Live
    from .messages import Install, KeeperRequest, Sweep
    from .session_state import SessionState

_waitpid = os.waitpid
_MOMENT_MS = 2


class Keeper:
    """One session's keeper."""

    def __init__(self, state: SessionState, live: Live, channel_path: str, program: str, egress: str) -> None:
        self._workspace = "."
        self._log = os.dup(2)
        state.open(channel_path)
        self._state = state
        self._live = live
        self._ring = state.ring
        self._pipes = state.pipes
        self._forker = state.forker
        self._installers: set[int] = set()
        self._child_read, self._child_write = os.pipe()
        os.set_blocking(self._child_read, False)
        os.set_blocking(self._child_write, False)
        self._channel_path = channel_path
        self._program = program
        self._file_pids: set[int] = set()
        self._entrance = Entrance(egress) if egress else None

    def run(self, token: str, facts: dict[str, Any], preload: list[str], workspace: str) -> NoReturn:
        """Serve the runner until the connection ends; then kill every other process, and exit."""
        self._workspace = workspace
        for name in preload:
            import_ahead(name, self._log)
        signal.signal(signal.SIGCHLD, _on_child)
        signal.set_wakeup_fd(self._child_write, warn_on_full_buffer=False)
        gc.collect()
        gc.freeze()
        # Not before the imports: the runner closes a connection whose hello takes longer than 2 s.
        self._connection = connect(self._channel_path)
        hello = {"type": "hello", "role": "keeper", "token": token, "pid": os.getpid()}
        try:
            self._connection.send_message({**hello, "python": facts})
            self._serve()
        except ConnectionEnded:
            pass
        except UnknownMessage as error:
            self._connection.send_message(unsupported(error))
        except BaseException:
            import traceback

            os.write(self._log, traceback.format_exc().encode("utf-8", "replace"))
        processes.end_others((), self._reap_quietly)
        os._exit(0)

    def _serve(self) -> None:
        poll = select.poll()
        poll.register(self._connection.fd, select.POLLIN)
        poll.register(self._child_read, select.POLLIN)
        entrance = self._entrance
        while True:
            if entrance is not None and not entrance.pid:
                # While a relay lives, connections are its own.
                poll.register(entrance.fd, select.POLLIN)
            events = dict(poll.poll())
            if self._child_read in events:
                _drain(self._child_read)
                self._reap()
            if entrance is not None and entrance.fd in events:
                self._start_relay(entrance)
                poll.unregister(entrance.fd)
            if self._connection.fd in events:
                self._connection.receive_some(wait=False)
                while self._connection.has_frame():
                    self._obey(self._connection.receive_message())

    def _obey(self, message: KeeperRequest) -> None:
        if message["type"] == "spawn":
            self._spawn(message["token"])
        elif message["type"] == "spawn_files":
            self._spawn_files(message["id"], message["token"])
        elif message["type"] == "signal":
            pid = message["pid"]
            is_ours = pid in self._file_pids or self._ring.is_registered(pid)
            is_there = is_ours and processes.is_living(pid)
            signum = message["signal"]
            delivered = is_there and (
                processes.signal_group(pid, signum)
                if pid in self._installers
                else processes.signal_like_terminal(pid, signum)
            )
            self._connection.send_message({"type": "signalled", "id": message["id"], "delivered": delivered})
        elif message["type"] == "interrupts":
            ring = self._ring
            answer = {
                "count": ring.interrupts(),
                "begun": ring.begun(),
                "seconds_since_begin": ring.seconds_since_begin(),
            }
            self._connection.send_message({"type": "interrupts", "id": message["id"], **answer})
        elif message["type"] == "sweep":
            self._sweep(message)
        elif message["type"] == "install":
            self._install(message)
        else:
            refuse_unknown(message)

    def _install(self, message: Install) -> None:
        """Start the installer in a process group of its own; what it prints goes where the output of user code goes."""
        reading, writing = os.pipe()
        request = to_json(message["request"]).encode("ascii")
        command = [sys.executable, "-I", "-X", "utf8", self._program, "installer"]
        try:
            # The pipe holds 64 KiB, and the runner sends no longer request.
            os.write(writing, request)
            pid = os.posix_spawn(
                sys.executable,
                command,
                {**os.environ, "PYREPL_CHANNEL": self._channel_path},
                file_actions=[(os.POSIX_SPAWN_DUP2, reading, 0), *passed_on(self._channel_path)],
                setpgroup=0,
                setsigdef=[signal.SIGINT, signal.SIGPIPE, signal.SIGXFSZ],
            )
        finally:
            os.close(reading)
            os.close(writing)
        self._ring.register(pid)
        self._installers.add(pid)

    def _spawn(self, token: str) -> None:
        pid = self._forker.fork(is_fresh=True)
        if pid:
            self._ring.register(pid)
            return
        try:
            self._become_live()
        except BaseException:
            os._exit(70)
        self._live.run(token)

    def _spawn_files(self, request_id: str, token: str) -> None:
        """Fork a process for one call on files. The answer has no pid if user code has used up the sandbox's processes."""
        try:
            pid = self._forker.fork(is_fresh=True)
        except OSError:
            self._connection.send_message({"type": "files_spawned", "id": request_id, "pid": None})
            return
        if pid:
            self._file_pids.add(pid)
            self._connection.send_message({"type": "files_spawned", "id": request_id, "pid": pid})
            return
        try:
            self._leave_keeper()
            serve_files(self._channel_path, token, self._workspace)
        except BaseException:
            os._exit(70)
        os._exit(0)

    def _start_relay(self, entrance: Entrance) -> None:
        """Fork a relay for who has connected, unless user code has used up the sandbox's processes."""
        try:
            pid = self._forker.fork(is_fresh=True)
        except OSError:
            entrance.refuse()
            return
        if pid:
            entrance.pid = pid
            return
        try:
            self._entrance = None
            self._leave_keeper()
            entrance.serve()
        finally:
            os._exit(70)

    def _become_live(self) -> None:
        self._leave_keeper()
        prepare_process()
        environment.activate(self._state, self._workspace)
        self._live.warm_up()
        gc.enable()

    def _leave_keeper(self) -> None:
        """Give up what only the keeper has, in a process that it has just forked."""
        self._connection.close()
        if self._entrance is not None:
            self._entrance.close()
        os.close(self._log)
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        os.close(self._child_read)
        os.close(self._child_write)
        linux.die_with_parent(signal.SIGKILL)

    def _reap(self) -> None:
        """Report our processes that have ended; the unsent output of a live process goes first."""
        for pid, status in _ended_children():
            if pid == self._ring.live_pid():
                send_leftover_output(self._connection, self._ring, self._pipes)
            self._report(pid, status)

    def _report(self, pid: int, status: int) -> None:
        self._file_pids.discard(pid)
        if self._entrance is not None and pid == self._entrance.pid:
            self._entrance.pid = 0
        begun = self._ring.begun() if pid == self._ring.live_pid() else 0
        if pid in self._installers:
            self._installers.discard(pid)
            # A build that pip has started must not outlive it.
            processes.signal_group(pid, signal.SIGKILL)
        if not self._ring.unregister(pid):
            return
        killed = os.WIFSIGNALED(status)
        self._connection.send_message(
            {
                "type": "exited",
                "pid": pid,
                "code": None if killed else os.WEXITSTATUS(status),
                "signal": os.WTERMSIG(status) if killed else None,
                "begun": begun,
            }
        )

    def _sweep(self, message: Sweep) -> None:
        # Calls on files and the relay go on: user code did not start them.
        relay = () if self._entrance is None else (self._entrance.pid,)
        keep = {*message["keep"], *self._file_pids, *relay}
        ended: list[tuple[int, int]] = []

        def wait_for_end() -> None:
            if not collect():
                self._await_child()

        def collect() -> bool:
            found = _ended_children()
            ended.extend(found)
            return bool(found)

        killed = processes.end_others(keep, wait_for_end)
        collect()
        if any(pid == self._ring.live_pid() for pid, _ in ended):
            send_leftover_output(self._connection, self._ring, self._pipes)
        else:
            empty_pipes(self._pipes)
        for pid, status in ended:
            self._report(pid, status)
        self._connection.send_message({"type": "swept", "id": message["id"], "killed": killed})

    def _reap_quietly(self) -> None:
        if not _ended_children():
            self._await_child()

    def _await_child(self) -> None:
        poll = select.poll()
        poll.register(self._child_read, select.POLLIN)
        if poll.poll(_MOMENT_MS):
            _drain(self._child_read)


def _ended_children() -> list[tuple[int, int]]:
    ended: list[tuple[int, int]] = []
    while True:
        try:
            pid, status = _waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return ended
        if pid == 0:
            return ended
        ended.append((pid, status))


def _drain(descriptor: int) -> None:
    try:
        while len(os.read(descriptor, 4096)) == 4096:
            continue
    except BlockingIOError:
        return


def _on_child(_signum: int, _frame: Any) -> None:
    """Exist, so that SIGCHLD reaches the wakeup descriptor."""
