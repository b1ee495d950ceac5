/** Owns the errors of calls on a session or a pool. An exception in the user's Python is data, never one of these. */

/** Every code and its cause. `caller`: change the call. `system`: the same call may succeed later. */
export const SESSION_ERRORS = {
  /** The session's queue holds as many executions as it may. */
  queue_full: "caller",
  /** The execution id was used before with other code. */
  idempotency_conflict: "caller",
  /** The code is longer than the session allows. */
  payload_too_large: "caller",
  /** An argument is invalid; the message says why. */
  invalid_call: "caller",
  /** The session has ended. */
  ended: "caller",
  /** The checkpoint has neither a snapshot nor a blob. */
  checkpoint_unavailable: "caller",
  undo_unavailable: "caller",
  /** The blob is damaged, too large, or from another Python. */
  checkpoint_invalid: "caller",
  /** The disk is nearly full. */
  storage_full: "system",
  /** The state could not be saved: the interpreter declined or failed. */
  checkpoint_failed: "system",
  /** The caller's deadline passed, or the session stayed busy past it. */
  deadline: "system",
  /** The caller's AbortSignal fired. */
  aborted: "caller",
  /** Every interpreter is in use, and none became free in time. */
  pool_exhausted: "system",
  /** The pool gives out no more sessions. */
  draining: "system",
  /** The interpreter died before it answered. */
  interpreter_died: "system",
  /** No interpreter could be started, or one failed and could not be replaced. */
  interpreter_failed: "system",
} as const;

export type SessionErrorCode = keyof typeof SESSION_ERRORS;

/**
 * Thrown by `Session` and `SessionPool`.
 *
 * @example
 * if (error instanceof SessionError && error.code === "queue_full") await later();
 */
export class SessionError extends Error {
  override readonly name = "SessionError";
  readonly code: SessionErrorCode;

  constructor(code: SessionErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}
