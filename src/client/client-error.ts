/** Owns the two errors that the SDK throws: a call that failed, with the code of the contract's table, and Python code that failed. */
import type { FieldError, Problem, ProblemCode } from "../protocol/problem.ts";
import type { Outcome } from "./outcome.ts";

/**
 * Codes of the client's own, beside those of the service:
 * `unreachable`: the service did not answer in time; nothing was sent.
 * `connection_lost`: the connection broke after the message was sent, so it is not known whether the service did it.
 * `deadline`: the service took longer than the caller waits.
 * `closed`: the client was closed.
 * `unexpected_answer`: the answer is not one of this service.
 */
export type ClientErrorCode =
  | ProblemCode
  | "unreachable"
  | "connection_lost"
  | "deadline"
  | "closed"
  | "unexpected_answer";

/** A call that failed. Match on `code`, never on the message. */
export class ClientError extends Error {
  override readonly name = "ClientError";
  readonly code: ClientErrorCode;
  /** HTTP status of the code; 0 for the client's own codes. */
  readonly status: number;
  /** Names the request in the service's log; empty for the client's own codes. */
  readonly requestId: string;
  /** Each wrong field of the request. */
  readonly errors: readonly FieldError[];
  /** Seconds after which the same call may succeed; null: the service does not say. */
  readonly retryAfter: number | null;

  constructor(code: ClientErrorCode, detail: string, problem: Partial<Problem> = {}, cause?: unknown) {
    super(detail, cause === undefined ? {} : { cause });
    this.code = code;
    this.status = problem.status ?? 0;
    this.requestId = problem.request_id ?? "";
    this.errors = problem.errors ?? [];
    this.retryAfter = problem.retry_after ?? null;
  }

  /** The error of a `problem`, from a socket or a failed call. */
  static of(problem: Problem): ClientError {
    const fields = (problem.errors ?? []).map(({ path, message }) => `${path}: ${message}`).join("; ");
    const detail = problem.detail || problem.title;
    return new ClientError(problem.code, fields === "" ? detail : `${detail} (${fields})`, problem);
  }
}

/** Python code that failed, where the caller asked for an exception instead of an outcome. */
export class PythonError extends Error {
  override readonly name = "PythonError";
  readonly outcome: Outcome;

  constructor(outcome: Outcome) {
    const { type, message } = outcome.error ?? { type: "Error", message: "" };
    super(message === "" ? type : `${type}: ${message}`);
    this.outcome = outcome;
  }

  /** Python's traceback, as Python prints it. */
  get traceback(): string {
    return this.outcome.error?.traceback ?? "";
  }
}
