"""Owns the live process's loop: which request of the runner goes to which part."""

from __future__ import annotations

import os
import sys

from . import linux, snapshot
from .checkpoint.load import receive_and_load
from .completeness import completeness
from .completion import completions
from .library import LIBRARY
from .messages import UnknownMessage, refuse_unknown, unsupported
from .processes import lead_group
from .rehearsal import Rehearsal, stand_in_for
from .variables import list_variables
from .wire import MAX_JSON_BYTES, ConnectionEnded, to_json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .messages import Execute, LiveRequest
    from .session_state import SessionState

_exit = os._exit
_SWITCH_SECONDS = 0.002


class Live:
    """Serves the runner in a live process."""

    def __init__(self, state: SessionState, rehearsal: Rehearsal | None = None) -> None:
        self._state = state
        self._rehearsal = rehearsal

    def warm_up(self) -> None:
        """Rehearse in this process, a fresh fork of the keeper: then its first execution finds the pages written."""
        if self._rehearsal is not None:
            self._rehearsal.run()

    def run(self, token: str) -> None:
        """Serve the runner until the connection ends; never returns."""
        state = self._state
        try:
            state.start(token)
            while True:
                self.serve_one()
        except UnknownMessage as error:
            try:
                state.say(unsupported(error))
            finally:
                _exit(70)
        except (ConnectionEnded, OSError):
            _exit(0)
        except BaseException:
            _exit(70)

    def serve_one(self) -> None:
        """Wait for the next request and obey it."""
        state = self._state
        deferred = state.answers.deferred
        LIBRARY.settle()
        message: LiveRequest = deferred.pop(0) if deferred else state.connection.receive_message()
        if message["type"] == "execute":
            self._execute(message)
        elif message["type"] == "snapshot":
            snapshot.take(state, message)
            if self._rehearsal is not None and not message.get("is_resting"):
                self._rehearsal.run_if_idle()
        elif message["type"] == "reap":
            state.say({"type": "reaped", "id": message["id"], "pids": snapshot.reap(state, message.get("drop", ()))})
        elif message["type"] == "complete":
            found = completions(state.namespace, message["code"], message["cursor"])
            state.say({"type": "completions", "id": message["id"], **found})
        elif message["type"] == "is_complete":
            state.say({"type": "completeness", "id": message["id"], **completeness(message["code"])})
        elif message["type"] == "variables":
            names = state.executor.bindings.newest_first(state.namespace)
            found = list_variables(state.namespace, state.toolbox.without_tools(names), state.forker)
            state.say({"type": "variables", "id": message["id"], **found})
        elif message["type"] == "load":
            state.say(receive_and_load(state, message))
        elif (
            message["type"] == "input_response"
            or message["type"] == "tool_answer"
            or message["type"] == "install_answer"
        ):
            # The answer came after its execution had ended.
            pass
        elif message["type"] == "exit":
            _exit(0)
        else:
            refuse_unknown(message)

    def _execute(self, message: Execute) -> None:
        state = self._state
        execution_id = message["execution_id"]
        state.prompts.execution_id = execution_id
        environ = message.get("env")
        if environ is not None:
            state.baseline.apply_session(environ)
        state.toolbox.begin(message)
        state.guard.enter_user_code()
        state.output.open()
        state.answers.open()
        state.ring.note_begin()
        fields = state.executor.execute(message["code"])
        if state.is_user_fork:
            self._end_user_fork(fields)
        state.guard.leave_user_code()
        state.prompts.execution_id = None
        state.toolbox.end()
        state.answers.close()
        fields["execution_id"] = execution_id
        terminal = to_json(fields)
        if len(terminal) > MAX_JSON_BYTES:
            # Only a MIME bundle of many characters that JSON escapes can be that long.
            del fields["mime"]
            terminal = to_json(fields)
        state.output.close(terminal.encode("ascii"))

    def _end_user_fork(self, fields: dict[str, Any]) -> None:
        """End a process that user code forked and that ran to the end of the execution."""
        code = 0
        output = self._state.output
        if fields["type"] == "error":
            code = 1
            if fields["exception_type"] == "SystemExit":
                message = fields["exception_message"]
                code = int(message) & 255 if message.isdigit() else 0 if message in ("", "None") else 1
            else:
                output.write(2, fields["traceback"])
        output.flush()
        _exit(code)


def make_live(state: SessionState) -> Live:
    """Return the loop of a live process, rehearsed once; before the keeper's first fork, or ahead of it in the zygote."""
    stand_in = stand_in_for(state)
    rehearsal = Rehearsal(state, stand_in, Live(stand_in).serve_one)
    rehearsal.run()
    return Live(state, rehearsal)


def prepare_process() -> None:
    """Set the process group, the process flags and the thread switch interval that every live process needs."""
    lead_group()
    linux.set_dumpable(True)
    sys.setswitchinterval(_SWITCH_SECONDS)
