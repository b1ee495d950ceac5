/** Owns the actions of clients on a session. WebSocket and REST both call them; each caller shapes the answer itself. */
import type { z } from "zod";
import { isLongerThan } from "../../byte-length.ts";
import { notFound, ProblemError, type ProblemInit } from "../../problem.ts";
import type { UndoOutcome } from "../../protocol/branch.ts";
import type { TransactionPolicy } from "../../protocol/client-message.ts";
import type { CheckpointId, ExecutionId } from "../../protocol/identity.ts";
import { DEFAULT_LIMITS } from "../../protocol/limits.ts";
import type { ExecuteBody } from "../../protocol/rest.ts";
import type { Completeness, Completions, RestoreOutcome } from "../../protocol/server-message.ts";
import type { VariableList } from "../../protocol/session-resource.ts";
import { type ToolOptions, toolOptionsOf } from "../../protocol/tool.ts";
import { newExecutionId } from "../../session-calls.ts";
import type { Answer } from "../runner/runner-link.ts";
import type { CheckpointRecord } from "../store/checkpoint-store.ts";
import type { ExecutionRecord } from "../store/execution-record.ts";
import type { NamedSession } from "./named-session.ts";

/** For what the runner answers at once. A question that waits for its turn gets that time on top. */
const PROMPT_DEADLINE_MS = 10_000;
const RESET_DEADLINE_MS = 60_000;

export interface ExecuteRequest {
  executionId: ExecutionId;
  /** False for an id that the server has just made: no client can have used it. */
  isClientsId: boolean;
  code: string;
  policy: TransactionPolicy;
  timeout: number;
  reportsFiles: boolean;
  tools: z.output<typeof ToolOptions>;
}

/** The request that a message or a body makes. */
export function requestOf(asked: z.output<typeof ExecuteBody>, maxTimeoutSeconds: number): ExecuteRequest {
  return {
    executionId: newExecutionId(asked.id),
    isClientsId: asked.id !== undefined,
    code: asked.code,
    policy: asked.transaction_policy,
    timeout: asked.timeout ?? Math.min(DEFAULT_LIMITS.timeoutSeconds, maxTimeoutSeconds),
    reportsFiles: asked.report_files ?? false,
    tools: toolOptionsOf(asked),
  };
}

export type Submitted =
  | { known: true; record: ExecutionRecord }
  /** `sent`: null if it was sent, or a promise that it will be. */
  | { known: false; record: ExecutionRecord; sent: Promise<void> | null };

/** Accepts code to run, or finds that it was accepted before. @throws ProblemError. */
export function execute(
  session: NamedSession,
  request: ExecuteRequest,
  onRefused: (problem: ProblemInit) => void,
): Submitted {
  const { context } = session;
  const { executions, settings } = context.stores;
  const { executionId, code, policy, timeout, reportsFiles } = request;
  const held = executions.held(executionId) ?? (request.isClientsId ? executions.find(executionId) : undefined);
  if (held !== undefined) {
    held.code ??= code;
    if (held.code === code && held.session === context.record.name) {
      // No runner was found for it so far, and perhaps nobody but this caller tries again.
      if (context.unsent.has(executionId)) context.stores.inBackground(session.incarnations.ensure());
      return { known: true, record: held };
    }
    throw new ProblemError({
      code: "idempotency_conflict",
      detail: held.code === code ? "This id was used in another session." : "This id was used with other code.",
    });
  }
  if (isLongerThan(code, settings.MAX_CODE_BYTES)) {
    throw new ProblemError({
      code: "payload_too_large",
      detail: `The code has more than ${settings.MAX_CODE_BYTES} bytes.`,
    });
  }
  if (timeout > settings.MAX_TIMEOUT_SECONDS) {
    const message = `must be at most ${settings.MAX_TIMEOUT_SECONDS} seconds`;
    throw new ProblemError({
      code: "invalid_request",
      detail: `The timeout ${message}.`,
      errors: [{ path: "timeout", message }],
    });
  }
  // One execution runs; the limit is for those that wait.
  if (context.unfinishedCount > settings.MAX_QUEUED_EXECUTIONS) {
    throw new ProblemError({
      code: "queue_full",
      detail: `${settings.MAX_QUEUED_EXECUTIONS} executions are waiting already.`,
      retryAfter: 1,
    });
  }
  const record = executions.add({ executionId, session: context.record.name, policy, timeout, code, reportsFiles });
  const tools = session.tools.forExecution(request.tools);
  if (tools !== null) context.stores.tools.setOfExecution(context.record.name, executionId, tools);
  context.noteChange();
  context.noteActivity();
  return { known: false, record, sent: session.submissions.submit(record, onRefused) };
}

/** Ends a waiting execution, or interrupts a running one. @throws ProblemError `not_found` if it has ended or is unknown. */
export async function cancel(session: NamedSession, id: ExecutionId): Promise<void> {
  const link = await session.incarnations.resume();
  const record = session.context.stores.executions.held(id);
  if (link === null || record?.status !== "running") throw notFound("execution to cancel");
  session.context.touch();
  await link.ask({ type: "cancel", execution_id: id }, PROMPT_DEADLINE_MS);
}

/** Sends SIGINT to the running execution. @returns its id, or null. */
export async function interrupt(session: NamedSession): Promise<ExecutionId | null> {
  const link = await session.incarnations.resume();
  if (link === null) return null;
  session.context.touch();
  const answer = await link.ask({ type: "interrupt" }, PROMPT_DEADLINE_MS);
  return answer.type === "done" ? (answer.execution_id ?? null) : null;
}

/** Starts over with a fresh interpreter; checkpoints stay. A session that was never used is not touched. */
export async function reset(session: NamedSession): Promise<void> {
  const { context, checkpointing, incarnations } = session;
  const link = await incarnations.resume();
  if (context.record.phase === "new") return;
  context.touch();
  context.record.restored = null;
  if (link === null) {
    context.record.returning = null;
    await checkpointing.forgetRecovery(false);
    return;
  }
  context.noteChange();
  const { changes } = context;
  await context.changeState(async () => {
    await link.ask({ type: "reset" }, RESET_DEADLINE_MS);
    await checkpointing.forgetRecovery(context.changes !== changes);
  });
}

export async function checkpoint(session: NamedSession, name: string | undefined): Promise<CheckpointRecord> {
  const link = await session.incarnations.ensure();
  session.context.touch();
  return session.checkpointing.take(link, "asked", name ?? null);
}

/** @throws ProblemError `not_found` if clients cannot see such a checkpoint. */
export async function restore(
  session: NamedSession,
  id: CheckpointId,
  clearExisting: boolean,
): Promise<RestoreOutcome> {
  const { context, checkpointing, incarnations } = session;
  // Before an interpreter is started for nothing.
  context.stores.checkpoints.visible(id);
  const link = await incarnations.ensure();
  context.noteChange();
  return context.changeState(() => checkpointing.restore(link, id, clearExisting));
}

/** Brings back the state right before an execution, or before the last execution that has a copy. @throws ProblemError `undo_unavailable`. */
export async function undo(session: NamedSession, id: ExecutionId | undefined): Promise<UndoOutcome> {
  const { context, incarnations } = session;
  const link = await incarnations.resume();
  if (link === null) {
    throw new ProblemError({
      code: "undo_unavailable",
      detail: "The session has no interpreter, so no earlier state is kept.",
    });
  }
  context.noteChange();
  return context.changeState(async () => {
    const request = id === undefined ? {} : { execution_id: id };
    const answer = await link.ask({ type: "undo", ...request }, RESET_DEADLINE_MS + context.queueMs);
    if (answer.type !== "undone") throw unexpected(answer);
    return { status: "restored", execution_id: answer.execution_id, source: "snapshot" };
  });
}

/** Answers a prompt; the first answer counts. @throws ProblemError `not_found` if nothing waits for it. */
export async function answerInput(
  { context, incarnations }: NamedSession,
  inputId: string,
  value: string | null,
  executionId?: ExecutionId,
): Promise<void> {
  const link = await incarnations.resume();
  const waiting = context.pendingInputs.current;
  const isWaiting =
    waiting?.input_id === inputId && (executionId === undefined || waiting.execution_id === executionId);
  if (link === null || !isWaiting) throw notFound("input waiting for an answer");
  context.pendingInputs.take(inputId);
  context.touch();
  await link.ask({ type: "input_response", input_id: inputId, value }, PROMPT_DEADLINE_MS);
}

export async function complete(
  session: NamedSession,
  code: string,
  cursor: number,
): Promise<z.infer<typeof Completions>> {
  const link = await session.incarnations.ensure();
  session.context.touch();
  const answer = await link.ask({ type: "complete", code, cursor }, PROMPT_DEADLINE_MS + session.context.queueMs);
  if (answer.type === "completions") return answer.data;
  throw unexpected(answer);
}

export async function isComplete(session: NamedSession, code: string): Promise<z.infer<typeof Completeness>> {
  const link = await session.incarnations.ensure();
  session.context.touch();
  const answer = await link.ask({ type: "is_complete", code }, PROMPT_DEADLINE_MS + session.context.queueMs);
  if (answer.type === "completeness") return answer.data;
  throw unexpected(answer);
}

/** The names that user code has bound. */
export async function listVariables(session: NamedSession): Promise<VariableList> {
  const link = await session.incarnations.ensure();
  session.context.touch();
  const answer = await link.ask({ type: "variables" }, PROMPT_DEADLINE_MS + session.context.queueMs);
  if (answer.type === "variables") return answer.data;
  throw unexpected(answer);
}

function unexpected(answer: Answer): ProblemError {
  return new ProblemError({ code: "runner_error", detail: `The runner answered with ${answer.type}.` });
}
