"""Owns the live process: its connection, and which order of the runner goes to which part."""

from __future__ import annotations

import builtins
import os
import sys
from types import ModuleType

from . import linux, snapshot
from .checkpoint.load import receive_and_load
from .checkpoint.save import serialize
from .checkpoint.surroundings import Baseline
from .children import HiddenChildren
from .completeness import completeness
from .completion import completions
from .execution import Executor
from .fork import Forker
from .guard import Guard
from .output import Output, Pipes
from .prompt import Prompts
from .ring import Ring
from .wire import MAX_JSON_BYTES, Connection, ConnectionEnded, Message, to_json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_exit = os._exit
_getpid = os.getpid
_SWITCH_SECONDS = 0.002


class Live:
    """Everything that a live process consists of; made by the keeper, started in a fork of it or of a snapshot."""

    def __init__(self, channel_path: str, ring: Ring, pipes: Pipes, forker: Forker) -> None:
        self.channel_path = channel_path
        self.keeper_pid = _getpid()
        self.ring = ring
        self.forker = forker
        self.guard = Guard(ring.note_interrupts)
        self.output = Output(ring, pipes, self.guard)
        self.prompts = Prompts(self.output)
        self.hidden = HiddenChildren(ring)
        self.namespace: dict[str, Any] = {}
        self.executor: Executor | None = None
        self.main_module: ModuleType | None = None
        self.streams: tuple[Any, ...] = ()
        self.baseline = Baseline(".")
        self.is_foreign = False
        self._connection: Connection | None = None

    def warm_up(self) -> None:
        """Run something in a namespace of its own: the first real execution then finds its code warm and its pages written."""
        stand_in = ModuleType("builtins")
        vars(stand_in).update(vars(builtins))
        executor = Executor({}, stand_in, self.guard)
        self.guard.enter_user_code()
        fields = executor.execute("numbers = [1]\nnumbers")
        self.guard.leave_user_code()
        to_json(fields)

    def start(self, token: str, copy_pid: int | None = None) -> None:
        """Say hello on a new connection, in a process that was just forked, or was a frozen copy and has left `copy_pid`."""
        self.ring.enrol(_getpid())
        connection = Connection(self.channel_path)
        self._connection = connection
        self.output.start(connection)
        self.prompts.start(connection)
        self.output.pump.start()
        hello: Message = {"type": "hello", "role": "live", "token": token, "pid": _getpid()}
        if copy_pid is not None:
            hello["snapshot_pid"] = copy_pid
        self.say(hello)

    def say(self, message: Message) -> None:
        """Send a message between executions."""
        connection = self._connection
        assert connection is not None
        connection.send_message(message)

    def disconnect(self) -> None:
        """Let go of this process's end of the connection; whoever else has it goes on."""
        if self._connection is not None:
            self._connection.close()

    def become_foreign(self) -> None:
        """Let go of the session, in a process that user code forked."""
        if self.is_foreign or self.forker.is_forking() or self._connection is None:
            return
        self.is_foreign = True
        self.prompts.execution_id = None
        self.hidden.disown()
        self.output.detach()

    def run(self, token: str) -> None:
        """Serve the runner until the connection ends; never returns."""
        try:
            self.start(token)
            while True:
                self._serve_one()
        except (ConnectionEnded, OSError):
            _exit(0)
        except BaseException:
            _exit(70)

    def _serve_one(self) -> None:
        deferred = self.prompts.deferred
        connection = self._connection
        assert connection is not None
        message = deferred.pop(0) if deferred else connection.receive_message()
        kind = message.get("type")
        if kind == "execute":
            self._execute(message["execution_id"], message["code"])
        elif kind == "snapshot":
            snapshot.take(self, message)
        elif kind == "drop":
            snapshot.drop(self, message["pids"])
        elif kind == "reap":
            self.say({"type": "reaped", "id": message["id"], "pids": snapshot.reap(self, message)})
        elif kind == "complete":
            found = completions(self.namespace, message["code"], message["cursor"])
            self.say({"type": "completions", "id": message["id"], **found})
        elif kind == "is_complete":
            self.say({"type": "completeness", "id": message["id"], **completeness(message["code"])})
        elif kind == "load":
            self._load(message, connection)
        elif kind == "exit":
            _exit(0)

    def _execute(self, execution_id: str, code: str) -> None:
        executor = self.executor
        assert executor is not None
        self.prompts.execution_id = execution_id
        self.guard.enter_user_code()
        self.output.open()
        fields = executor.execute(code)
        if self.is_foreign:
            self._end_foreign(fields)
        self.guard.leave_user_code()
        self.prompts.end_execution()
        fields["execution_id"] = execution_id
        terminal = to_json(fields)
        if len(terminal) > MAX_JSON_BYTES:
            # Only a MIME bundle of many characters that JSON escapes can do that.
            del fields["mime"]
            terminal = to_json(fields)
        self.output.close(terminal.encode("ascii"))

    def _end_foreign(self, fields: dict[str, Any]) -> None:
        """End a process that user code forked and that ran to the end of the execution."""
        code = 0
        if fields["type"] == "error":
            code = 1
            if fields["exception_type"] == "SystemExit":
                message = fields["exception_message"]
                code = int(message) & 255 if message.isdigit() else 0 if message in ("", "None") else 1
            else:
                self.output.write(2, fields["traceback"])
        self.output.flush()
        _exit(code)

    def serialize(self, message: Message) -> None:
        """Write a checkpoint blob, in a process forked from a snapshot for that."""
        serialize(self, message)

    def _load(self, message: Message, connection: Connection) -> None:
        self.say(receive_and_load(self, connection, message))


def prepare_process() -> None:
    """Set what every live process needs of the kernel and the interpreter."""
    linux.set_dumpable(True)
    sys.setswitchinterval(_SWITCH_SECONDS)
