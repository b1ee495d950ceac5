import { expect, it } from "vitest";
import type { CheckpointId } from "../../../../src/protocol/identity.ts";
import type { LinkRequest } from "../../../../src/protocol/link.ts";
import { describeFailure } from "../../../../worker-runner/service/hosted/session-problem.ts";
import {
  SESSION_ERRORS,
  SessionError,
  type SessionErrorCode,
} from "../../../../worker-runner/session/session-error.ts";
import { startService } from "../service-under-test.ts";

async function linked() {
  const runner = await startService();
  const edge = await runner.link();
  edge.open();
  await edge.reply("opened");
  return { edge, session: runner.pool.only };
}

const execute = (id: string, code: string): LinkRequest =>
  ({ type: "execute", execution_id: id, code, transaction_policy: "commit_always", timeout: 1 }) as LinkRequest;

it("answers an execution id used with other code, and a full queue, by its id", async () => {
  const { edge, session } = await linked();
  edge.send(execute("e1", "1"));
  edge.send(execute("e1", "1"));
  edge.send(execute("e1", "2"));
  expect(await edge.reply("failed")).toMatchObject({ ref: "e1", code: "idempotency_conflict" });
  session.submitError = new SessionError("queue_full", "64 of 64");
  edge.send(execute("e2", "1"));
  expect(await edge.reply("failed")).toMatchObject({ ref: "e2", code: "queue_full" });
});

it("answers input, cancel, interrupt and reset", async () => {
  const { edge, session } = await linked();
  session.waitingInput = "i1";
  edge.send({ type: "input_response", ref: "a", input_id: "i1", value: null });
  expect(await edge.reply("done")).toMatchObject({ ref: "a" });
  edge.send({ type: "input_response", ref: "b", input_id: "i2", value: "x" });
  expect(await edge.reply("failed")).toMatchObject({ ref: "b", code: "not_found" });
  edge.send({ type: "cancel", ref: "c", execution_id: "e1" });
  expect(await edge.reply("failed")).toMatchObject({ ref: "c", code: "not_found" });
  edge.send(execute("e1", "1"));
  edge.send({ type: "cancel", ref: "d", execution_id: "e1" });
  expect(await edge.reply("done")).toMatchObject({ ref: "d" });
  edge.send({ type: "interrupt", ref: "e" });
  expect(await edge.reply("done")).toEqual({ type: "done", ref: "e", execution_id: null });
  edge.send({ type: "reset", ref: "f" });
  expect(await edge.reply("done")).toMatchObject({ ref: "f" });
  expect(session.calls).toContain("reset");
});

it("passes the answer to a tool call on, and says where none waits for it", async () => {
  const { edge, session } = await linked();
  session.waitingCall = "c1";
  edge.send({ type: "tool_result", ref: "a", call_id: "c1", value: { found: [1] } });
  expect(await edge.reply("done")).toMatchObject({ ref: "a" });
  edge.send({ type: "tool_result", ref: "b", call_id: "c2", error: { message: "no" } });
  expect(await edge.reply("failed")).toMatchObject({ ref: "b", code: "not_found" });
  expect(session.calls).toContain('tool {"type":"tool_result","ref":"a","call_id":"c1","value":{"found":[1]}}');
});

it("answers complete, is_complete and status", async () => {
  const { edge } = await linked();
  edge.send({ type: "complete", ref: "a", code: "pri", cursor: 3 });
  expect(await edge.reply("completions")).toMatchObject({ ref: "a", data: { matches: ["pri!"], cursor_end: 3 } });
  edge.send({ type: "is_complete", ref: "b", code: "1" });
  expect(await edge.reply("completeness")).toMatchObject({ ref: "b", data: { status: "complete" } });
  edge.send({ type: "status", ref: "c" });
  expect(await edge.reply("status")).toEqual({
    type: "status",
    ref: "c",
    state: "ready",
    last_seq: 0,
    running: null,
    running_since: null,
    queued: [],
    pending_input: null,
    pending_tool_calls: [],
    resident_bytes: 1,
    limit_bytes: 2,
    snapshots: 3,
    packages: [],
    undo: [],
  });
});

it("restores from the snapshot where it lives, and asks for the blob where it does not", async () => {
  const { edge, session } = await linked();
  const id = "c1" as CheckpointId;
  session.snapshots.add(id);
  const restore = { type: "restore", checkpoint_id: id, clear_existing: true, blob: false };
  edge.send({ ...restore, ref: "a" });
  expect(await edge.reply("restored")).toEqual({
    type: "restored",
    ref: "a",
    checkpoint_id: id,
    source: "snapshot",
    missing: [],
  });
  session.snapshots.clear();
  edge.send({ ...restore, ref: "b" });
  expect(await edge.reply("blob_required")).toMatchObject({ ref: "b", checkpoint_id: id });
  edge.send({ ...restore, ref: "c", blob: true });
  expect(await edge.reply("failed")).toMatchObject({ ref: "c", code: "checkpoint_unavailable" });
});

it("says vaguely what failed inside", async () => {
  const { edge } = await linked();
  edge.send({ type: "checkpoint", ref: "a", checkpoint_id: "c1" });
  expect(await edge.reply("failed")).toEqual({
    type: "failed",
    ref: "a",
    code: "runner_error",
    detail: "The runner failed.",
  });
});

it("has a public sentence for every way in which a session can fail", () => {
  for (const code of Object.keys(SESSION_ERRORS) as SessionErrorCode[]) {
    const { detail } = describeFailure(new SessionError(code, "/a/path: 12 things"));
    expect(detail).toMatch(/^[A-Z][a-z ']+\.$/);
  }
});
