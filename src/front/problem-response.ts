/** Owns turning a failure into an HTTP response, and a call's `Outcome` into a value. */
import { edgeMetrics } from "../metrics.ts";
import { type Outcome, ProblemError, type ProblemInit, toProblem } from "../problem.ts";

/** The HTTP answer for a failure. */
export function problemResponse(
  init: ProblemInit,
  requestId: string,
  extraHeaders: Record<string, string> = {},
): Response {
  const problem = toProblem(init, requestId);
  edgeMetrics.problems.add({ code: init.code });
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

/** The value of a call on the session object. @throws ProblemError if the object answered with a problem. */
export function unwrap<T>(outcome: Outcome<T>): T {
  if (outcome.ok) return outcome.value;
  throw new ProblemError(outcome.problem);
}
