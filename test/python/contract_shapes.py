"""The wire contract, described from its prose (docs/protocol.md, docs/link.md) and not from the TypeScript schemas."""

from __future__ import annotations

import resource_shapes as resource
import tool_shapes as tool
from shape import (
    Shape,
    above_zero,
    anything,
    by_type,
    flag,
    integer,
    many,
    matching,
    maybe,
    number,
    one_of,
    record,
    sized,
    table,
    text,
)

identifier = sized(1, 128)
client_id = matching(r"[A-Za-z0-9][A-Za-z0-9._~-]{0,127}")
session_name = matching(r"[A-Za-z0-9][A-Za-z0-9._~-]{0,63}")
checkpoint_id = matching(r"[A-Za-z0-9][A-Za-z0-9._~-]{0,127}")
seq = integer(0)
policy = one_of("commit_always", "rollback_on_failure", "rollback_always")
transaction = one_of("committed", "rolled_back")
session_state = one_of("starting", "ready", "busy", "suspended", "restored", "reset", "ended")
problem_code = one_of(
    "invalid_request",
    "client_id_required",
    "client_id_invalid",
    "invalid_path",
    "unauthorized",
    "forbidden",
    "origin_not_allowed",
    "packages_disabled",
    "not_found",
    "idempotency_conflict",
    "environment_conflict",
    "not_empty",
    "session_exists",
    "checkpoint_unavailable",
    "undo_unavailable",
    "precondition_failed",
    "payload_too_large",
    "workspace_full",
    "range_not_satisfiable",
    "upgrade_required",
    "rate_limited",
    "session_limit",
    "queue_full",
    "internal",
    "runner_error",
    "no_runner",
    "pool_exhausted",
    "storage_full",
)


def _message(kind: str, **fields: Shape | tuple[Shape]) -> Shape:
    return record(type=one_of(kind), id=(identifier,), **fields)


CLIENT = by_type(
    {
        "execute": _message(
            "execute",
            code=text,
            transaction_policy=policy,
            timeout=(above_zero,),
            report_files=(flag,),
            **tool.options,
        ),
        "input_response": _message("input_response", input_id=identifier, value=maybe(text)),
        "checkpoint": _message("checkpoint", name=(identifier,)),
        "restore": _message("restore", checkpoint_id=checkpoint_id, clear_existing=flag),
        "cancel": _message("cancel", execution_id=identifier),
        "interrupt": _message("interrupt"),
        "reset": _message("reset"),
        "attach": _message("attach", after=(integer(0),), window=(integer(1024),)),
        "ack": _message("ack", seq=seq),
        "complete": _message("complete", code=text, cursor=integer(0)),
        "is_complete": _message("is_complete", code=text),
        "ping": _message("ping"),
        "tools": _message("tools", tools=tool.definitions),
        "tool_result": tool.result_message,
        "variables": _message("variables"),
        "undo": _message("undo", execution_id=(identifier,)),
        "branch": _message("branch", name=session_name),
    }
)

missing = record(name=text, type=text, reason=text)
restored = record(
    at=number,
    reason=text,
    checkpoint_id=maybe(checkpoint_id),
    missing=many(missing),
    lost_executions=many(identifier),
)
pending_input = record(input_id=text, prompt=text, password=flag, timeout=number, execution_id=identifier)
checkpoint = record(
    checkpoint_id=checkpoint_id,
    name=maybe(text),
    created_at=number,
    size=integer(0),
    durable=flag,
    skipped=many(missing),
)
restore_outcome = record(
    status=one_of("restored"),
    checkpoint_id=checkpoint_id,
    source=one_of("snapshot", "stored"),
    missing=many(missing),
)
completions = record(matches=many(text), cursor_start=integer(0), cursor_end=integer(0))
completeness = record(status=one_of("complete", "incomplete", "invalid"), indent=(text,))
problem = record(
    type=text,
    title=text,
    status=integer(400),
    detail=text,
    code=problem_code,
    request_id=text,
    errors=(many(record(path=text, message=text)),),
    retry_after=(number,),
)

overview = record(
    client_id=text,
    session=session_name,
    state=session_state,
    created_at=maybe(number),
    last_active_at=maybe(number),
    last_seq=seq,
    first_seq=seq,
    running=maybe(identifier),
    queued=integer(0),
    restored=maybe(restored),
    pending_input=maybe(pending_input),
    executions=integer(0),
    checkpoints=integer(0),
    sockets=integer(0),
    memory=record(resident_bytes=maybe(integer(0)), limit_bytes=maybe(integer(0))),
    runner=maybe(record(id=text, version=text)),
    pending_tool_calls=many(tool.pending_call),
    environment=text,
    env_names=many(text),
    saved=maybe(resource.saved),
    undo=many(identifier),
    packages=many(text),
)
branch_outcome = record(
    **{"session": overview, "from": session_name, "checkpoint_id": checkpoint_id, "missing": many(missing)}
)
undo_outcome = record(status=one_of("restored"), execution_id=identifier, source=one_of("snapshot", "stored"))


def _data(kind: str, **fields: Shape | tuple[Shape]) -> Shape:
    return record(id=text, timestamp=number, execution_id=identifier, type=one_of(kind), **fields)


_ending: dict[str, tuple[Shape]] = {
    "restored": (restored,),
    "files": (resource.changes,),
    "files_truncated": (flag,),
    "tool_calls": (tool.ended_calls,),
}
result_data = _data(
    "result",
    value=anything,
    repr=maybe(text),
    mime=(table(text),),
    execution_time=number,
    transaction=transaction,
    **_ending,
)
error_data = _data(
    "error",
    exception_type=text,
    exception_message=text,
    traceback=text,
    execution_time=number,
    reason=one_of(
        "exception",
        "timeout",
        "cancelled",
        "interrupted",
        "out_of_memory",
        "process_died",
        "runner_lost",
        "output_limit",
    ),
    transaction=transaction,
    state=one_of("kept", "rolled_back", "recovered", "restored", "fresh"),
    state_checkpoint_id=(checkpoint_id,),
    lost_executions=(many(identifier),),
    **_ending,
)


def _event(kind: str, data: Shape) -> Shape:
    return record(type=one_of(kind), seq=seq, id=(text,), data=data)


display_data = _data("display", mime=table(text), metadata=table(anything), display_id=(text,), update=(flag,))
truncated_data = _data("output_truncated", dropped_bytes=integer(0), reason=text)

SERVER = by_type(
    {
        "output": _event("output", _data("output", data=text, stream=one_of("stdout", "stderr"))),
        "display": _event("display", display_data),
        "clear_output": _event("clear_output", _data("clear_output", wait=flag)),
        "input": _event("input", _data("input", input_id=text, prompt=text, password=flag, timeout=number)),
        "output_truncated": _event("output_truncated", truncated_data),
        "result": _event("result", result_data),
        "error": _event("error", error_data),
        "tool_call": _event("tool_call", _data("tool_call", **tool.call_fields)),
        "tool_done": _event("tool_done", _data("tool_done", **tool.done_fields)),
        "attached": _message(
            "attached",
            data=record(
                client_id=client_id,
                session=session_name,
                state=session_state,
                last_seq=seq,
                first_seq=seq,
                pending_input=maybe(pending_input),
                pending_tool_calls=many(tool.pending_call),
                running=maybe(identifier),
            ),
        ),
        "session": _message(
            "session",
            data=record(
                session=session_name,
                state=session_state,
                reason=text,
                checkpoint_id=(checkpoint_id,),
                missing=(many(missing),),
                lost_executions=(many(identifier),),
                saved=(record(at=number, is_current=flag),),
            ),
        ),
        "gap": _message("gap", data=record(**{"from": seq, "to": seq})),
        "checkpoint_created": _message("checkpoint_created", checkpoint_id=checkpoint_id, data=checkpoint),
        "restored": _message("restored", checkpoint_id=checkpoint_id, data=restore_outcome),
        "cancelled": _message("cancelled", data=record(execution_id=identifier)),
        "interrupted": _message("interrupted", data=record(execution_id=maybe(identifier))),
        "completions": _message("completions", data=completions),
        "completeness": _message("completeness", data=completeness),
        "tools": _message("tools", data=tool.bindings),
        "variables": _message("variables", data=resource.variables),
        "undone": _message("undone", data=undo_outcome),
        "branched": _message("branched", data=branch_outcome),
        "pong": _message("pong", data=record()),
        "problem": _message("problem", data=problem),
    }
)

execution = record(
    execution_id=identifier,
    session=session_name,
    status=one_of("running", "succeeded", "failed", "timed_out", "cancelled", "crashed", "lost"),
    code=text,
    transaction_policy=policy,
    timeout=number,
    submitted_at=number,
    started_at=maybe(number),
    finished_at=maybe(number),
    execution_time=maybe(number),
    stdout=text,
    stderr=text,
    displays=many(display_data),
    displays_truncated=flag,
    result=maybe(result_data),
    error=maybe(error_data),
    output_truncated=flag,
    waiting_for=maybe(one_of("input", "tool")),
    pending_input=maybe(pending_input),
    restored=maybe(restored),
    pending_tool_calls=many(tool.pending_call),
    first_seq=maybe(seq),
    last_seq=maybe(seq),
)
runner_capabilities: dict[str, Shape | tuple[Shape]] = {
    "version": text,
    "python": record(version=text, implementation=text),
    "serializer": record(name=one_of("cloudpickle", "source"), version=maybe(text)),
    "sandbox": record(kind=one_of("bwrap", "landlock", "none"), isolated=flag, network=flag, seccomp=flag, detail=text),
    "packages": record(enabled=flag),
    "egress": (record(enabled=flag, allow=many(text)),),
    "limits": table(record(value=maybe(number), enforced=flag, mechanism=text)),
}

REST: dict[str, Shape] = {
    "ExecuteBody": record(
        code=text,
        transaction_policy=policy,
        timeout=(above_zero,),
        id=(identifier,),
        session=(session_name,),
        report_files=(flag,),
        **tool.options,
    ),
    "ExecuteAccepted": record(execution_id=identifier, status=one_of("running"), session=session_name),
    "Execution": execution,
    "ExecutionList": record(executions=many(execution), next=maybe(text)),
    "InputBody": record(input_id=identifier, value=maybe(text)),
    "CheckpointBody": record(name=(identifier,), session=(session_name,)),
    "Checkpoint": checkpoint,
    "CheckpointList": record(checkpoints=many(checkpoint)),
    "RestoreBody": record(session=(session_name,), clear_existing=flag),
    "RestoreOutcome": restore_outcome,
    "SessionOverview": overview,
    "SessionList": record(sessions=many(overview)),
    "SessionAction": record(session=(session_name,)),
    "CompleteBody": record(code=text, cursor=integer(0), session=(session_name,)),
    "IsCompleteBody": record(code=text, session=(session_name,)),
    "Completions": completions,
    "Completeness": completeness,
    "Capabilities": record(
        **runner_capabilities, protocol=one_of("v1"), edge_version=text, transaction_policies=many(policy)
    ),
    "Problem": problem,
    "ToolsBody": record(tools=tool.definitions, session=(session_name,)),
    "ToolBindings": tool.bindings,
    "ToolResultsBody": record(results=many(tool.result), wait=(number,)),
    "BranchBody": record(name=session_name, session=(session_name,), checkpoint_id=(checkpoint_id,)),
    "BranchOutcome": branch_outcome,
    "UndoBody": record(session=(session_name,), execution_id=(identifier,)),
    "UndoOutcome": undo_outcome,
    **resource.BODIES,
}
