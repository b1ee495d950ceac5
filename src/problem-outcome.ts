/** Owns how failures travel inside the object: thrown as `CallProblem`, handed to the caller as an `Outcome`. */
import { LinkError, RequestFailed } from "./runner-link.ts";
import type { Outcome, ProblemInit } from "./session-calls.ts";

/** The caller is wrong, or the system failed in a way that has a code. */
export class CallProblem extends Error {
  override name = "CallProblem";
  readonly init: ProblemInit;

  constructor(init: ProblemInit) {
    super(init.detail);
    this.init = init;
  }
}

export const notFound = (what: string) => new CallProblem({ code: "not_found", detail: `There is no such ${what}.` });

/** What a caller learns of a failure; anything unforeseen is logged here, and told as `internal`. */
export function problemOf(error: unknown): ProblemInit {
  if (error instanceof CallProblem) return error.init;
  if (error instanceof RequestFailed) return { code: error.code, detail: error.message };
  if (error instanceof LinkError) {
    const retryAfter = error.retryAfter === undefined ? {} : { retryAfter: error.retryAfter };
    switch (error.fault) {
      case "pool_exhausted":
        return { code: "pool_exhausted", detail: "Every interpreter is in use.", ...retryAfter };
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
  console.error("unforeseen", error);
  return { code: "internal", detail: "Something went wrong on our side." };
}

/** Runs a call to its outcome. */
export async function outcomeOf<T>(call: () => T | Promise<T>): Promise<Outcome<T>> {
  try {
    return { ok: true, value: await call() };
  } catch (error) {
    return { ok: false, problem: problemOf(error) };
  }
}
