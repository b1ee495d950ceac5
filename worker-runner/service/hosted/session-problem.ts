/** Owns the error that the edge gets when a call on a session fails: a problem code and a sentence without internals. */
import type { ProblemCode } from "../../../src/protocol/problem.ts";
import { SessionError, type SessionErrorCode } from "../../session/session-error.ts";

export interface Failure {
  code: ProblemCode;
  /** May reach a client. */
  detail: string;
  /** True if the cause is in the runner, so that the log needs the details. */
  isOurs: boolean;
}

const FAILURES: Record<SessionErrorCode, Failure> = {
  queue_full: theirs("queue_full", "The session's queue is full."),
  idempotency_conflict: theirs("idempotency_conflict", "This execution id was used with other code."),
  payload_too_large: theirs("payload_too_large", "The code is too long."),
  invalid_call: theirs("invalid_request", "The request makes no sense here."),
  ended: theirs("runner_error", "The session has ended."),
  checkpoint_unavailable: theirs("checkpoint_unavailable", "The checkpoint is no longer available."),
  undo_unavailable: theirs("undo_unavailable", "The state before this execution is no longer kept."),
  checkpoint_invalid: theirs("checkpoint_unavailable", "The checkpoint cannot be restored."),
  storage_full: theirs("storage_full", "The disk is nearly full."),
  checkpoint_failed: ours("The state could not be saved."),
  deadline: theirs("runner_error", "The session did not answer in time."),
  aborted: theirs("runner_error", "The request was given up."),
  pool_exhausted: theirs("pool_exhausted", "Every interpreter is in use."),
  draining: theirs("pool_exhausted", "The runner is stopping."),
  interpreter_died: theirs("runner_error", "The interpreter died before it answered."),
  interpreter_failed: ours("No interpreter could be started."),
};

/** Describes an error of a session without internals. */
export function describeFailure(error: unknown): Failure {
  if (error instanceof SessionError) return FAILURES[error.code];
  return ours("The runner failed.");
}

function theirs(code: ProblemCode, detail: string): Failure {
  return { code, detail, isOurs: false };
}

function ours(detail: string): Failure {
  return { code: "runner_error", detail, isOurs: true };
}
