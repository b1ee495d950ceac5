/** Owns the ways in which a call on a session or a pool can fail; what the user's Python did is data and never one of these. */

/** Every code, with whose fault it is: `caller` may change its call, `system` may be asked again. */
export const SESSION_ERRORS = {
  /** The session's queue holds as many executions as it may. */
  queue_full: "caller",
  /** The execution id was used before with other code. */
  idempotency_conflict: "caller",
  /** Code is longer than the session takes. */
  payload_too_large: "caller",
  /** An argument makes no sense here; the message says why. */
  invalid_call: "caller",
  /** The session has ended. */
  ended: "caller",
  /** Neither a snapshot nor a blob of this checkpoint is there. */
  checkpoint_unavailable: "caller",
  /** The blob is damaged, too large, or from another Python. */
  checkpoint_invalid: "caller",
  /** The state could not be saved: the interpreter declined or failed. */
  checkpoint_failed: "system",
  /** The caller's deadline passed, or the session stayed busy past it. */
  deadline: "system",
  /** The caller's AbortSignal fired. */
  aborted: "caller",
  /** Every interpreter is in use, and none came free in time. */
  pool_exhausted: "system",
  /** The pool takes no more borrowers. */
  draining: "system",
  /** No interpreter could be started, or one broke and no other could be. */
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
