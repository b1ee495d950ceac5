/** Owns the edge's one error class and its RFC 9457 form. `src/protocol/problem.ts` owns the codes and their statuses. */
import type { z } from "zod";
import { type FieldError, PROBLEMS, type Problem, type ProblemCode } from "./protocol/problem.ts";

/** Seconds to wait if the failure names none. The contract requires `Retry-After` on every 429 and 503. */
const DEFAULT_RETRY_AFTER: Record<number, number> = { 429: 1, 503: 5 };
const MAX_FIELD_ERRORS = 16;

/** A failure before it is written as an RFC 9457 object. Nothing in it may reveal internals. */
export interface ProblemInit {
  code: ProblemCode;
  detail: string;
  errors?: FieldError[];
  /** Seconds. */
  retryAfter?: number;
}

/** The result of a call on the session object. A thrown error would lose its class at the RPC border. */
export type Outcome<T> = { ok: true; value: T } | { ok: false; problem: ProblemInit };

/** A failure whose answer is known: the caller is wrong, or the system failed in a way that has a code. */
export class ProblemError extends Error {
  override name = "ProblemError";
  readonly init: ProblemInit;
  /** Headers that the answer carries beside the problem's own. */
  readonly headers: Record<string, string>;

  constructor(init: ProblemInit, headers: Record<string, string> = {}) {
    super(`${init.code}: ${init.detail}`);
    this.init = init;
    this.headers = headers;
  }
}

/** The error for something that the client names and that does not exist. */
export const notFound = (what: string) => new ProblemError({ code: "not_found", detail: `There is no such ${what}.` });

/** Writes a failure as the contract's problem object. */
export function toProblem(init: ProblemInit, requestId: string): Problem {
  const { status, title } = PROBLEMS[init.code];
  const retryAfter = init.retryAfter ?? DEFAULT_RETRY_AFTER[status];
  return {
    type: `urn:pyrepl3:problem:${init.code}`,
    title,
    status,
    detail: init.detail,
    code: init.code,
    request_id: requestId,
    ...(init.errors === undefined ? {} : { errors: init.errors }),
    ...(retryAfter === undefined ? {} : { retry_after: retryAfter }),
  };
}

/** What zod found, as the contract's `errors`; `prefix` names the part of the request (`query`, a header). */
export function fieldErrors(error: z.ZodError, prefix = ""): FieldError[] {
  return error.issues.slice(0, MAX_FIELD_ERRORS).map((issue) => ({
    path: [...(prefix === "" ? [] : [prefix]), ...issue.path.map(String)].join("."),
    message: issue.message,
  }));
}
