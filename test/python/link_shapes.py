"""The link between edge and runner, described from docs/link.md and not from the TypeScript schemas."""

from __future__ import annotations

from typing import Any

import resource_shapes as resource
import tool_shapes as tool
from contract_shapes import (
    checkpoint_id,
    completeness,
    completions,
    identifier,
    missing,
    pending_input,
    policy,
    problem_code,
    runner_capabilities,
    seq,
    session_name,
)
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

ref = sized(1, 160)
event_type = one_of("output", "display", "input", "output_truncated", "result", "error", "tool_call", "tool_done")


def _frame(kind: str, **fields: Shape | tuple[Shape]) -> Shape:
    return record(type=one_of(kind), **fields)


def _event_header(value: Any, path: str) -> list[str]:
    if not isinstance(value, list) or len(value) not in (5, 6):  # pyright: ignore[reportUnknownArgumentType]
        return [f"{path}: wants a list of five or six"]
    mark, number_, kind, execution, length, *began = value  # pyright: ignore[reportUnknownVariableType]
    return (
        one_of("E")(mark, path + "[0]")
        + seq(number_, path + "[1]")
        + event_type(kind, path + "[2]")
        + identifier(execution, path + "[3]")
        + integer(0)(length, path + "[4]")
        + [fault for each in began for fault in number(each, path + "[5]")]
    )


REQUEST = by_type(
    {
        "open": _frame(
            "open",
            session=session_name,
            after=seq,
            base=seq,
            create=flag,
            credit=integer(0),
            object=text,
            environment=(text,),
        ),
        "durable": _frame("durable", seq=seq),
        "credit": _frame("credit", bytes=integer(1)),
        "frame_limit": _frame("frame_limit", bytes=integer(0)),
        "keep_output": _frame("keep_output", limit=maybe(record(head_bytes=integer(0), tail_bytes=integer(0)))),
        "execute": _frame(
            "execute",
            execution_id=identifier,
            code=text,
            transaction_policy=policy,
            timeout=above_zero,
            report_files=(flag,),
            **{**tool.options, "tools": (many(tool.offered),)},
        ),
        "tool_result": tool.one_answer(
            _frame("tool_result", ref=ref, call_id=identifier, value=(anything,), error=(tool.failure,))
        ),
        "input_response": _frame("input_response", ref=ref, input_id=text, value=maybe(text)),
        "stay": _frame("stay"),
        "variables": _frame("variables", ref=ref),
        "env": _frame("env", values=table(text)),
        "cancel": _frame("cancel", ref=ref, execution_id=identifier),
        "interrupt": _frame("interrupt", ref=ref),
        "reset": _frame("reset", ref=ref),
        "complete": _frame("complete", ref=ref, code=text, cursor=integer(0)),
        "is_complete": _frame("is_complete", ref=ref, code=text),
        "checkpoint": _frame("checkpoint", ref=ref, checkpoint_id=checkpoint_id),
        "restore": _frame("restore", ref=ref, checkpoint_id=checkpoint_id, clear_existing=flag, blob=flag),
        "undo": _frame("undo", ref=ref, execution_id=(identifier,)),
        "drop_checkpoint": _frame("drop_checkpoint", checkpoint_id=checkpoint_id),
        "status": _frame("status", ref=ref),
    }
)

status: dict[str, Shape] = {
    "state": one_of("starting", "ready", "busy", "ended"),
    "last_seq": seq,
    "running": maybe(identifier),
    "running_since": maybe(number),
    "queued": many(identifier),
    "pending_input": maybe(pending_input),
    "pending_tool_calls": many(tool.pending_call),
}

REPLY = by_type(
    {
        "opened": _frame("opened", created=flag, runner_id=text, version=text, **status),
        "refused": _frame(
            "refused",
            code=one_of("not_found", "pool_exhausted", "draining", "runner_error"),
            detail=text,
            retry_after=(number,),
        ),
        "started": _frame("started", execution_id=identifier, started_at=number),
        "session": _frame("session", state=one_of("ready", "busy", "restored", "reset", "ended"), reason=text),
        "done": _frame("done", ref=ref, execution_id=(maybe(identifier),)),
        "variables": _frame("variables", ref=ref, data=resource.variables),
        "completions": _frame("completions", ref=ref, data=completions),
        "completeness": _frame("completeness", ref=ref, data=completeness),
        "checkpoint_taken": _frame(
            "checkpoint_taken",
            ref=ref,
            checkpoint_id=checkpoint_id,
            size=integer(0),
            sha256=text,
            skipped=many(missing),
            packages=many(text),
            pieces=many(many(anything)),
            pause=number,
        ),
        "restored": _frame(
            "restored",
            ref=ref,
            checkpoint_id=checkpoint_id,
            source=one_of("snapshot", "stored"),
            missing=many(missing),
        ),
        "undone": _frame("undone", ref=ref, execution_id=identifier),
        "blob_required": _frame("blob_required", ref=ref, checkpoint_id=checkpoint_id),
        "failed": _frame("failed", ref=ref, code=problem_code, detail=text),
        "status": _frame(
            "status",
            ref=ref,
            **status,
            resident_bytes=maybe(integer(0)),
            limit_bytes=maybe(integer(0)),
            snapshots=integer(0),
            undo=many(identifier),
            packages=many(text),
        ),
        "draining": _frame("draining"),
        "give_way": _frame("give_way"),
    }
)

LINK: dict[str, Shape] = {
    "LinkRequest": REQUEST,
    "LinkReply": REPLY,
    "EventHeader": _event_header,
    "Heartbeat": record(
        id=identifier,
        url=matching(r"https?://.+"),
        capacity=integer(0),
        sessions=integer(0),
        draining=flag,
        version=text,
        capabilities=record(**runner_capabilities),
        free=(integer(0),),
        environments=(many(text),),
        region=(text,),
    ),
    "Ring": record(object=text, session=session_name, key=matching(r"[A-Za-z0-9_-]{1,128}")),
}
