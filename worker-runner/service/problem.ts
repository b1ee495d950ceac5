/** Owns the runner's answer to a failed call: an RFC 9457 object whose status and title come from the one table. */
import type { Context } from "hono";
import { PROBLEMS, type ProblemCode } from "../../src/protocol/problem.ts";

/** The answer to a call that failed. Nothing in `detail` may reveal internals. */
export function problem(c: Context, code: ProblemCode, detail: string, headers: Record<string, string> = {}): Response {
  const { status, title } = PROBLEMS[code];
  const body = JSON.stringify({ type: "about:blank", title, status, detail, code });
  return c.body(body, status, { ...headers, "content-type": "application/problem+json" });
}
