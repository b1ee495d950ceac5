"""Owns the asynchronous calls of a session that need no socket."""

from __future__ import annotations

from typing import Any, Dict, List, Mapping, Optional, TypeVar

from . import calls
from .http_call import Call
from .records import (
    Branched,
    Checkpoint,
    Completeness,
    Completions,
    Environment,
    Execution,
    ExecutionPage,
    Restored,
    SessionOverview,
    Undone,
    Variable,
)

T = TypeVar("T")


class AsyncCalls:
    """The calls; the client that inherits them says how one is made."""

    session_name: str

    async def make(self, call: Call[T]) -> T:
        """Make one REST call."""
        raise NotImplementedError

    async def checkpoint(self, name: Optional[str] = None) -> Checkpoint:
        """Save the session's state, so that `restore` brings it back.

        Args:
            name: for people.
        """
        return await self.make(calls.checkpoint(self.session_name, name))

    async def checkpoints(self) -> List[Checkpoint]:
        """Return the session's checkpoints."""
        return await self.make(calls.checkpoints(self.session_name))

    async def get_checkpoint(self, checkpoint_id: str) -> Checkpoint:
        """Return one checkpoint."""
        return await self.make(calls.get_checkpoint(self.session_name, checkpoint_id))

    async def delete_checkpoint(self, checkpoint_id: str) -> None:
        """Delete a checkpoint."""
        await self.make(calls.delete_checkpoint(self.session_name, checkpoint_id))

    async def restore(self, checkpoint_id: str, *, clear_existing: bool = True) -> Restored:
        """Go back to a checkpoint.

        Args:
            checkpoint_id: one of `checkpoints()`.
            clear_existing: False keeps names that the checkpoint lacks.
        """
        return await self.make(calls.restore(self.session_name, checkpoint_id, clear_existing))

    async def reset(self) -> SessionOverview:
        """Replace the interpreter by a fresh one; checkpoints stay."""
        return await self.make(calls.reset(self.session_name))

    async def interrupt(self) -> SessionOverview:
        """Interrupt what the session runs now, as Ctrl-C does."""
        return await self.make(calls.interrupt(self.session_name))

    async def cancel(self, execution_id: str) -> Execution:
        """Interrupt an execution, or take it from the queue."""
        return await self.make(calls.cancel(execution_id))

    async def end(self, *, purge: bool = False) -> None:
        """End the session's interpreter.

        Args:
            purge: also delete its journal and checkpoints.
        """
        await self.make(calls.end(self.session_name, purge))

    async def overview(self) -> SessionOverview:
        """Return the session as it is now."""
        return await self.make(calls.overview(self.session_name))

    async def sessions(self) -> List[SessionOverview]:
        """Return all sessions of this client id."""
        return await self.make(calls.sessions())

    async def configure(
        self,
        *,
        environment: Optional[str] = None,
        env: Optional[Mapping[str, Optional[str]]] = None,
        idle_seconds: Optional[float] = None,
        region: Optional[str] = None,
    ) -> SessionOverview:
        """Make the session, or change its settings; what is None stays as it is.

        Args:
            environment: the Python to run, one of `environments()`.
            env: environment variables for the code; None as a value removes one.
            idle_seconds: after which a quiet session is stored and its process ended.
            region: where the session's runner should be.
        """
        return await self.make(calls.configure(self.session_name, environment, env, idle_seconds, region))

    async def environments(self) -> List[Environment]:
        """Return the environments that sessions can have."""
        return await self.make(calls.environments())

    async def variables(self) -> List[Variable]:
        """Return the user's names in the session, the newest first."""
        return await self.make(calls.variables(self.session_name))

    async def executions(self, *, limit: Optional[int] = None, before: Optional[str] = None) -> ExecutionPage:
        """Return executions of the session, newest first."""
        return await self.make(calls.executions(self.session_name, limit, before))

    async def execution(self, execution_id: str) -> Execution:
        """Return one execution, with its output as far as it is kept."""
        return await self.make(calls.execution(execution_id))

    async def complete(self, code: str, cursor: Optional[int] = None) -> Completions:
        """Return the names that fit at a place of the code.

        Args:
            code: what was typed so far.
            cursor: the place, in code points; the end where absent.
        """
        return await self.make(calls.complete(self.session_name, code, len(code) if cursor is None else cursor))

    async def is_complete(self, code: str) -> Completeness:
        """Return whether code is complete, or wants another line."""
        return await self.make(calls.is_complete(self.session_name, code))

    async def capabilities(self) -> Dict[str, Any]:
        """Return what the service can do: Python, sandbox, limits, versions."""
        return await self.make(calls.capabilities())

    async def branch(self, name: str, *, checkpoint_id: Optional[str] = None) -> Branched:
        """Make a new session with this one's state; both go on by themselves.

        Args:
            name: of the new session.
            checkpoint_id: take the state of this checkpoint, not the present one.
        """
        return await self.make(calls.branch(self.session_name, name, checkpoint_id))

    async def undo(self, execution_id: Optional[str] = None) -> Undone:
        """Go back to the state right before an execution.

        Args:
            execution_id: the last one where absent.
        """
        return await self.make(calls.undo(self.session_name, execution_id))
