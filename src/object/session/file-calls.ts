/** Owns a call on the files of a session: wakes the session, passes the call to its runner, and keeps the session there until the call is over. */
import { z } from "zod";
import { ProblemError } from "../../problem.ts";
import { ProblemCode } from "../../protocol/problem.ts";
import type { FileAnswer, FileCall } from "../../session-calls.ts";
import type { Incarnation } from "../store/session-table.ts";
import type { NamedSession } from "./named-session.ts";

/** A runner that was suspended keeps its connections open. While content flows, it is asked this often whether it lives. */
const WATCH_EVERY_MS = 15_000;
const STATUS_DEADLINE_MS = 10_000;
const ANSWER_HEADERS = ["accept-ranges", "content-range", "etag", "last-modified"];

const RunnerProblem = z.object({ code: ProblemCode, detail: z.string() });

/** @throws ProblemError: what the runner says of the call, or that it was cut off. */
export async function callFiles(session: NamedSession, call: FileCall): Promise<FileAnswer> {
  const { context, incarnations } = session;
  await incarnations.ensure();
  const { incarnation } = context.record;
  if (incarnation === null) throw cutOff();
  const isRead = call.method === "GET" || call.method === "HEAD";
  const transfer = new Transfer(session, incarnation, !isRead);
  let response: Response;
  try {
    response = await context.stores.runnerCalls.callFiles(incarnation, call, transfer.signal);
  } catch {
    transfer.end();
    throw cutOff();
  }
  try {
    if (response.status >= 400 && response.status !== 416) throw await problemOf(response);
    return await answerOf(response, transfer);
  } catch (error) {
    transfer.end();
    throw error;
  }
}

/** The time in which a call uses the session. */
class Transfer {
  readonly #session: NamedSession;
  readonly #incarnation: Incarnation;
  readonly #isChange: boolean;
  readonly #ending = new AbortController();
  readonly #watch: ReturnType<typeof setInterval>;
  #isOver = false;

  constructor(session: NamedSession, incarnation: Incarnation, isChange: boolean) {
    this.#session = session;
    this.#incarnation = incarnation;
    this.#isChange = isChange;
    session.context.beginTransfer();
    if (isChange) session.context.noteChange();
    this.#watch = setInterval(() => session.context.stores.inBackground(this.#look()), WATCH_EVERY_MS);
  }

  get signal(): AbortSignal {
    return this.#ending.signal;
  }

  end(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    clearInterval(this.#watch);
    const { context, idle } = this.#session;
    context.endTransfer();
    // A checkpoint that was taken meanwhile may lack the change.
    if (this.#isChange) context.noteChange();
    idle.schedule();
    idle.onWorkEnded();
  }

  async #look(): Promise<void> {
    const { context, incarnations } = this.#session;
    try {
      const link = await incarnations.resume();
      if (link === null || context.record.incarnation?.key !== this.#incarnation.key) throw cutOff();
      await link.ask({ type: "status" }, STATUS_DEADLINE_MS);
      context.touch();
    } catch (error) {
      this.#ending.abort(error);
    }
  }
}

async function answerOf(response: Response, transfer: Transfer): Promise<FileAnswer> {
  const { status } = response;
  const header = response.headers.get("content-length");
  const length = header === null ? null : Number(header);
  const headers: Record<string, string> = {};
  for (const name of ANSWER_HEADERS) {
    const value = response.headers.get(name);
    if (value !== null) headers[name] = value;
  }
  const isContent = status === 200 || status === 201 || status === 206;
  if (!isContent || response.body === null) {
    await response.body?.cancel();
    transfer.end();
    return { status, headers, body: null, length };
  }
  const { readable, writable } = new IdentityTransformStream();
  const piped = (response.body as ReadableStream<Uint8Array>).pipeTo(writable, { signal: transfer.signal });
  // The reader sees a broken body; nobody else needs the error.
  piped.catch(() => undefined).finally(() => transfer.end());
  return { status, headers, body: readable, length };
}

async function problemOf(response: Response): Promise<ProblemError> {
  const told = RunnerProblem.safeParse(await response.json().catch(() => null));
  return told.success ? new ProblemError(told.data) : cutOff();
}

function cutOff(): ProblemError {
  return new ProblemError({ code: "runner_error", detail: "The connection broke during the call on files." });
}
