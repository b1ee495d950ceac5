/** Owns a run without a socket: the events come as a stream over HTTP, which is taken up again where it broke. */
import { ClientError } from "./client-error.ts";
import type { Rest } from "./rest.ts";
import type { Run } from "./run.ts";
import type { ExecuteFields } from "./wire.ts";

const FIRST_PAUSE_MS = 250;
const LONGEST_PAUSE_MS = 8000;

const pause = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));

function isPassing(error: unknown): boolean {
  if (!(error instanceof ClientError)) return false;
  return ["unreachable", "deadline", "rate_limited"].includes(error.code);
}

/** Takes what one stream brings. @returns the error that broke it, or null. */
async function takeEvents(rest: Rest, run: Run, fields: ExecuteFields, isFirst: boolean): Promise<unknown> {
  const { session } = rest.endpoint;
  try {
    const events = isFirst
      ? rest.events("POST", "execute", { json: { ...fields, session } })
      : rest.events("GET", `executions/${encodeURIComponent(fields.id)}/events`, { query: { after: run.lastSeq } });
    for await (const event of events) {
      run.take(event);
      if (run.isOver) return null;
    }
    return null;
  } catch (error) {
    return error;
  }
}

/** Runs the code over HTTP until the run is over; after `resumeTimeoutMs` without any event it fails. */
export async function runOverHttp(rest: Rest, run: Run, fields: ExecuteFields, resumeTimeoutMs: number): Promise<void> {
  let pauseMs = FIRST_PAUSE_MS;
  let isFirst = true;
  let giveUpAtMs = Date.now() + resumeTimeoutMs;
  while (!run.isOver) {
    const before = run.lastSeq;
    const error = await takeEvents(rest, run, fields, isFirst && before === 0);
    if (run.isOver) return;
    if (error instanceof ClientError && !isPassing(error)) {
      run.fail(error);
      return;
    }
    if (run.lastSeq > before) {
      giveUpAtMs = Date.now() + resumeTimeoutMs;
      pauseMs = FIRST_PAUSE_MS;
      isFirst = false;
    }
    if (Date.now() + pauseMs > giveUpAtMs) {
      run.fail(error ?? new ClientError("unreachable", "The events of the execution stopped before its end."));
      return;
    }
    await pause(pauseMs);
    pauseMs = Math.min(LONGEST_PAUSE_MS, pauseMs * 2);
  }
}
