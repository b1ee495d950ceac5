/** Owns turning an error thrown inside the object into the `Outcome` that the front gets. */
import { logLine } from "../log.ts";
import { type Outcome, ProblemError, type ProblemInit } from "../problem.ts";
import { LinkError, RequestFailed } from "./runner/runner-link.ts";

/** The problem that a caller gets for an error. An unexpected error is logged here and answered as `internal`. */
export function problemOf(error: unknown, requestId?: string): ProblemInit {
  if (error instanceof ProblemError) return error.init;
  if (error instanceof RequestFailed) return { code: error.code, detail: error.message };
  if (error instanceof LinkError) {
    const retryAfter = error.retryAfter === undefined ? {} : { retryAfter: error.retryAfter };
    switch (error.fault) {
      case "pool_exhausted":
        return { code: "pool_exhausted", detail: "No interpreter became free in time.", ...retryAfter };
      case "unreachable":
      case "draining":
      case "not_found":
        return { code: "no_runner", detail: "No runner can be reached.", ...retryAfter };
      case "runner_error":
      case "closed":
      case "late":
        return { code: "runner_error", detail: error.message };
      default:
        error.fault satisfies never;
    }
  }
  logLine("error", "a call on a client's object failed", { error, requestId });
  return { code: "internal", detail: "An unexpected error occurred in the service." };
}

/** Runs a call to its outcome. */
export async function outcomeOf<T>(call: () => T | Promise<T>, requestId?: string): Promise<Outcome<T>> {
  try {
    return { ok: true, value: await call() };
  } catch (error) {
    return { ok: false, problem: problemOf(error, requestId) };
  }
}
