/** Owns a run without a socket: the events come as a stream over HTTP, which is taken up again where it broke. */
import { ClientError } from "./client-error.ts";
import type { Rest } from "./rest.ts";
import type { Run } from "./run.ts";
import type { ExecuteFields, WireEvent } from "./wire.ts";

const FIRST_PAUSE_MS = 250;
const LONGEST_PAUSE_MS = 8000;

const pause = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));

function isPassing(error: unknown): boolean {
  if (!(error instanceof ClientError)) return false;
  return ["unreachable", "deadline", "rate_limited"].includes(error.code);
}

/** The events of an execution that the service has, after the last one that came. */
function laterEvents(rest: Rest, run: Run, signal: AbortSignal): AsyncGenerator<WireEvent> {
  const path = `executions/${encodeURIComponent(run.executionId)}/events`;
  return rest.events("GET", path, { query: { after: run.lastSeq }, signal });
}

/** Takes what one stream brings. @returns the error that broke it, or null. */
async function takeEvents(run: Run, events: AsyncGenerator<WireEvent>): Promise<unknown> {
  try {
    for await (const event of events) {
      run.take(event);
      if (run.isOver) return null;
    }
    return null;
  } catch (error) {
    return error;
  }
}

/** Opens streams of events until the run is over; after `resumeTimeoutMs` without any event it fails. */
async function follow(
  run: Run,
  resumeTimeoutMs: number,
  openStream: (isFirst: boolean, signal: AbortSignal) => AsyncGenerator<WireEvent>,
): Promise<void> {
  // A run that is over for another reason, such as the client's close, leaves no stream behind.
  const over = new AbortController();
  const stop = () => over.abort();
  run.then(stop, stop);
  let pauseMs = FIRST_PAUSE_MS;
  let isFirst = true;
  let giveUpAtMs = Date.now() + resumeTimeoutMs;
  while (!run.isOver) {
    const before = run.lastSeq;
    const error = await takeEvents(run, openStream(isFirst && before === 0, over.signal));
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

/** Runs the code over HTTP. */
export function runOverHttp(rest: Rest, run: Run, fields: ExecuteFields, resumeTimeoutMs: number): Promise<void> {
  const { traceparent, ...body } = fields;
  const json = { ...body, session: rest.endpoint.session };
  const headers = traceparent === undefined ? {} : { traceparent };
  return follow(run, resumeTimeoutMs, (isFirst, signal) =>
    isFirst ? rest.events("POST", "execute", { json, headers, signal }) : laterEvents(rest, run, signal),
  );
}

/** Takes up an execution that the service has already, from its first event on. */
export function takeUpOverHttp(rest: Rest, run: Run, resumeTimeoutMs: number): Promise<void> {
  return follow(run, resumeTimeoutMs, (_, signal) => laterEvents(rest, run, signal));
}
