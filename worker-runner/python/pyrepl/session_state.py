"""Owns the state of one session's interpreter: the parts of a live process, which its snapshots inherit."""

from __future__ import annotations

import builtins
import os
from types import ModuleType

from .answers import Answers
from .checkpoint.surroundings import Baseline
from .children import HiddenChildren
from .execution import Executor
from .fork_hooks import ForkHooks
from .guard import Guard, repeat_soon
from .output import Output
from .package_calls import PackageCalls
from .pipes import PipeReader
from .prompt import Prompts
from .pump import Pump
from .tool_calls import ToolCalls
from .tools import Toolbox
from .wire import connect

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .fork import Forker
    from .messages import Message
    from .pipes import Pipes
    from .ring import Ring
    from .wire import Connection

_getpid = os.getpid


class SessionState:
    """Made by the keeper, or ahead of it by the zygote.

    `open` is called in the keeper, and `start` in a live process, which is a fork of the keeper or a former snapshot.
    """

    def __init__(self, ring: Ring, pipes: Pipes, forker: Forker) -> None:
        self.channel_path = ""
        self.keeper_pid = 0
        self.ring = ring
        self.forker = forker
        self.fork_hooks = ForkHooks(forker)
        self.guard = Guard(ring.note_interrupts)
        self.output = Output(ring)
        self.guard.is_in_line = self.output.is_in_line
        self.pipes = pipes
        self.answers = Answers()
        self.prompts = Prompts(self.output, self.answers)
        self.tool_calls = ToolCalls(self.output, self.answers)
        self.packages = PackageCalls(self)
        self.hidden = HiddenChildren(ring)
        self.main_module = ModuleType("__main__")
        self.main_module.__dict__.update(__builtins__=builtins, __annotations__={})
        self.namespace: dict[str, Any] = self.main_module.__dict__
        self.executor = Executor(self.namespace, builtins, self.guard)
        self.toolbox = Toolbox(self.tool_calls, self.namespace)
        self.streams: tuple[Any, ...] = ()
        self.baseline = Baseline(".")
        self.is_user_fork = False
        self.rehearsal_seconds = 0.0
        self.own_imports: frozenset[str] = frozenset()
        self._connection: Connection | None = None

    def open(self, channel_path: str) -> None:
        """Make what all processes of the session inherit, in the keeper."""
        self.channel_path = channel_path
        self.keeper_pid = _getpid()
        self.ring.open()
        self.pipes.open()

    @property
    def is_started(self) -> bool:
        """Say whether this is a live process that has connected."""
        return self._connection is not None

    @property
    def connection(self) -> Connection:
        """Return the connection of this live process."""
        connection = self._connection
        assert connection is not None
        return connection

    def start(self, token: str, copy_pid: int | None = None) -> None:
        """Connect and say hello, in a process that was just forked, or that was a snapshot and has left the copy `copy_pid`."""
        self.ring.register(_getpid())
        connection = connect(self.channel_path)
        pump = Pump(self.output.drain, self.guard, self.pipes, connection)
        self.resume_on(connection, PipeReader(self.pipes), pump)
        pump.start()
        hello: dict[str, Any] = {"type": "hello", "role": "live", "token": token, "pid": _getpid()}
        if copy_pid is not None:
            hello["snapshot_pid"] = copy_pid
        self.say(hello)

    def resume_on(self, connection: Connection, reader: PipeReader, pump: Pump) -> None:
        """Use `connection` from now on."""
        self._connection = connection
        self.output.start(connection, reader, pump)
        self.answers.start(connection)
        self.prompts.start()
        self.tool_calls.start()

    def say(self, message: Message) -> None:
        """Send a message between executions."""
        self.connection.send_message(message)

    def discard(self) -> None:
        """Give up what only a live process has, in a snapshot that has closed the connection's descriptor already."""
        if self._connection is None:
            return
        self._connection.forget()
        self._connection = None
        self.output.discard()
        self.hidden.forget_all()

    def detach_after_user_fork(self) -> None:
        """Detach from the session, in a process that user code forked."""
        if self.is_user_fork or self.forker.is_forking() or self._connection is None:
            return
        self.is_user_fork = True
        self.prompts.execution_id = None
        self.hidden.forget_all()
        self.answers.detach()
        self.tool_calls.detach()
        self.guard.note_interrupts = _ignore
        self.guard.postpone = repeat_soon
        for signum in self.output.pump.postponed:
            repeat_soon(signum)
        self.output.detach()
        self.pipes.close()


def _ignore(_count: int) -> None:
    """Leave the shared memory alone, in a process that user code forked: it belongs to the live process."""
