/** Owns how a failure becomes an RFC 9457 answer; the codes and their statuses are the contract's (src/protocol/problem.ts). */
import type { z } from "zod";
import { type FieldError, PROBLEMS, type Problem } from "./protocol/problem.ts";
import type { Outcome, ProblemInit } from "./session-calls.ts";

/** Seconds to wait where whoever failed did not say; the contract wants `Retry-After` on every 429 and 503. */
const DEFAULT_RETRY_AFTER: Record<number, number> = { 429: 1, 503: 5 };
const MAX_FIELD_ERRORS = 16;

/** A failure that has its answer: thrown anywhere in the front, turned into a response in one place. */
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

/** Dresses a failure as the contract's problem object. */
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

/** The HTTP answer for a failure. */
export function problemResponse(
  init: ProblemInit,
  requestId: string,
  extraHeaders: Record<string, string> = {},
): Response {
  const problem = toProblem(init, requestId);
  const headers = new Headers(extraHeaders);
  headers.set("content-type", "application/problem+json");
  headers.set("cache-control", "no-store");
  headers.set("x-request-id", requestId);
  if (problem.status === 401) headers.set("www-authenticate", "Bearer");
  if (problem.retry_after !== undefined) {
    headers.set("retry-after", String(Math.max(1, Math.ceil(problem.retry_after))));
  }
  return new Response(JSON.stringify(problem), { status: problem.status, headers });
}

/** What zod found, as the contract's `errors`; `prefix` names the part of the request (`query`, a header). */
export function fieldErrors(error: z.ZodError, prefix = ""): FieldError[] {
  return error.issues.slice(0, MAX_FIELD_ERRORS).map((issue) => ({
    path: [...(prefix === "" ? [] : [prefix]), ...issue.path.map(String)].join("."),
    message: issue.message,
  }));
}

/** The value of a call on the session object. @throws ProblemError with what the object answered. */
export function unwrap<T>(outcome: Outcome<T>): T {
  if (outcome.ok) return outcome.value;
  throw new ProblemError(outcome.problem);
}
