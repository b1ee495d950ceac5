"""Owns the REST calls about sessions as data (protocol, sections 6, 10 and 14); `file_calls` has those about files."""

from __future__ import annotations

import json
from typing import Any, Dict, List, Mapping, Optional, Sequence
from urllib.parse import quote

from .http_call import Answer, Call
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
    record_of,
    records_of,
)

API = "/api/v1"


def segment(text: str) -> str:
    """Return text as one part of a path."""
    return quote(text, safe="")


def nothing(answer: Answer) -> None:
    """Parse an answer that has no body."""


def _json(answer: Answer) -> Dict[str, Any]:
    return answer.json()


def _overview(answer: Answer) -> SessionOverview:
    return record_of(SessionOverview, answer.json())


def _checkpoint(answer: Answer) -> Checkpoint:
    return record_of(Checkpoint, answer.json())


def _execution(answer: Answer) -> Execution:
    return record_of(Execution, answer.json())


def execute(body: Mapping[str, Any], wait: Optional[float] = None) -> Call[Dict[str, Any]]:
    """Submit code."""
    return Call("POST", f"{API}/execute", _json, {"wait": wait}, body)


def execute_streamed(body: Mapping[str, Any]) -> Call[None]:
    """Submit code and read its events as lines of JSON."""
    headers = {"accept": "application/x-ndjson"}
    # The trace is a field of the message on a socket, and a header over HTTP.
    if "traceparent" in body:
        headers["traceparent"] = body["traceparent"]
    fields = {name: value for name, value in body.items() if name != "traceparent"}
    return Call("POST", f"{API}/execute", nothing, body=fields, headers=headers)


def set_tools(session: str, tools: Sequence[Mapping[str, Any]]) -> Call[None]:
    """Replace the session's tools."""
    return Call("PUT", f"{API}/session/tools", nothing, {"session": session}, {"tools": list(tools)})


def executions(session: str, limit: Optional[int], before: Optional[str]) -> Call[ExecutionPage]:
    """List executions, newest first."""

    def parse(answer: Answer) -> ExecutionPage:
        raw = answer.json()
        return ExecutionPage(raw=raw, executions=records_of(Execution, raw["executions"]), next=raw["next"])

    return Call("GET", f"{API}/executions", parse, {"session": session, "limit": limit, "before": before})


def execution(execution_id: str) -> Call[Execution]:
    """Look at one execution."""
    return Call("GET", f"{API}/executions/{segment(execution_id)}", _execution)


def cancel(execution_id: str) -> Call[Execution]:
    """Cancel an execution, running or queued."""
    return Call("POST", f"{API}/executions/{segment(execution_id)}/cancel", _execution)


def answer_input(execution_id: str, input_id: str, value: Optional[str]) -> Call[None]:
    """Answer an `input()`; None is end of file."""
    path = f"{API}/executions/{segment(execution_id)}/input"
    # None is a value here, so it must reach the service.
    content = json.dumps({"input_id": input_id, "value": value}).encode()
    return Call("POST", path, nothing, content=content, headers={"content-type": "application/json"})


def answer_tool(execution_id: str, result: Mapping[str, Any]) -> Call[None]:
    """Answer a tool call."""
    path = f"{API}/executions/{segment(execution_id)}/tool-results"
    return Call("POST", path, nothing, body={"results": [result]})


def events(execution_id: str, after: int) -> Call[None]:
    """Read an execution's events as lines of JSON."""
    path = f"{API}/executions/{segment(execution_id)}/events"
    return Call("GET", path, nothing, {"after": after}, headers={"accept": "application/x-ndjson"})


def checkpoint(session: str, name: Optional[str]) -> Call[Checkpoint]:
    """Save the state."""
    return Call("POST", f"{API}/checkpoint", _checkpoint, body={"session": session, "name": name})


def checkpoints(session: str) -> Call[List[Checkpoint]]:
    """List the checkpoints."""

    def parse(answer: Answer) -> List[Checkpoint]:
        return records_of(Checkpoint, answer.json()["checkpoints"])

    return Call("GET", f"{API}/checkpoints", parse, {"session": session})


def get_checkpoint(session: str, checkpoint_id: str) -> Call[Checkpoint]:
    """Look at one checkpoint."""
    return Call("GET", f"{API}/checkpoints/{segment(checkpoint_id)}", _checkpoint, {"session": session})


def delete_checkpoint(session: str, checkpoint_id: str) -> Call[None]:
    """Delete a checkpoint."""
    return Call("DELETE", f"{API}/checkpoints/{segment(checkpoint_id)}", nothing, {"session": session})


def restore(session: str, checkpoint_id: str, clear_existing: bool) -> Call[Restored]:
    """Go back to a checkpoint."""
    body = {"session": session, "clear_existing": clear_existing}
    return Call(
        "POST", f"{API}/restore/{segment(checkpoint_id)}", lambda answer: record_of(Restored, answer.json()), body=body
    )


def overview(session: str) -> Call[SessionOverview]:
    """Look at the session."""
    return Call("GET", f"{API}/session", _overview, {"session": session})


def sessions() -> Call[List[SessionOverview]]:
    """List the client's sessions."""
    return Call("GET", f"{API}/sessions", lambda answer: records_of(SessionOverview, answer.json()["sessions"]))


def configure(
    session: str,
    environment: Optional[str],
    env: Optional[Mapping[str, Optional[str]]],
    idle_seconds: Optional[float],
    region: Optional[str],
) -> Call[SessionOverview]:
    """Make the session, or change its settings."""
    body = {"environment": environment, "env": env, "idle_seconds": idle_seconds, "region": region}
    return Call("PUT", f"{API}/sessions/{segment(session)}", _overview, body=body)


def interrupt(session: str) -> Call[SessionOverview]:
    """Interrupt what runs."""
    return Call("POST", f"{API}/session/interrupt", _overview, body={"session": session})


def reset(session: str) -> Call[SessionOverview]:
    """Start a fresh interpreter."""
    return Call("POST", f"{API}/session/reset", _overview, body={"session": session})


def end(session: str, purge: bool) -> Call[None]:
    """End the session's interpreter; with `purge` delete its journal and checkpoints too."""
    return Call("DELETE", f"{API}/session", nothing, {"session": session, "purge": purge})


def complete(session: str, code: str, cursor: int) -> Call[Completions]:
    """Complete a name."""
    body = {"session": session, "code": code, "cursor": cursor}
    return Call("POST", f"{API}/complete", lambda answer: record_of(Completions, answer.json()), body=body)


def is_complete(session: str, code: str) -> Call[Completeness]:
    """Judge whether code is complete."""
    body = {"session": session, "code": code}
    return Call("POST", f"{API}/is-complete", lambda answer: record_of(Completeness, answer.json()), body=body)


def capabilities() -> Call[Dict[str, Any]]:
    """Say what the service can do."""
    return Call("GET", f"{API}/capabilities", _json)


def environments() -> Call[List[Environment]]:
    """List the environments."""
    return Call("GET", f"{API}/environments", lambda answer: records_of(Environment, answer.json()["environments"]))


def variables(session: str) -> Call[List[Variable]]:
    """List the user's names."""
    return Call(
        "GET",
        f"{API}/session/variables",
        lambda answer: records_of(Variable, answer.json()["variables"]),
        {"session": session},
    )


def branch(session: str, name: str, checkpoint_id: Optional[str]) -> Call[Branched]:
    """Make a new session with the state of this one."""

    def parse(answer: Answer) -> Branched:
        raw = answer.json()
        return Branched(
            raw=raw,
            from_session=raw["from"],
            checkpoint_id=raw["checkpoint_id"],
            missing=raw["missing"],
            overview=record_of(SessionOverview, raw["session"]),
        )

    body = {"session": session, "name": name, "checkpoint_id": checkpoint_id}
    return Call("POST", f"{API}/session/branch", parse, body=body)


def undo(session: str, execution_id: Optional[str]) -> Call[Undone]:
    """Go back to the state right before an execution."""
    body = {"session": session, "execution_id": execution_id}
    return Call("POST", f"{API}/session/undo", lambda answer: record_of(Undone, answer.json()), body=body)


def packages(session: str, requirements: Sequence[str]) -> Call[Dict[str, Any]]:
    """Install packages; the answer names the execution that does it."""
    return Call("POST", f"{API}/packages", _json, body={"session": session, "requirements": list(requirements)})
