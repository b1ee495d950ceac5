// Sessions for tests: each ends with its test, and what it said is collected.
import { readFileSync } from "node:fs";
import { onTestFinished } from "vitest";
import type { ExecutionEvent } from "../../src/protocol/event.ts";
import { type ExecuteRequest, Session, type SessionListener, type SessionOptions } from "../../worker-runner/index.ts";
import { descendantsOf } from "../../worker-runner/sandbox/process-tree.ts";
import type { Sandbox, StartSandbox } from "../../worker-runner/sandbox/sandbox-contract.ts";
import { startTestSandbox } from "../support/test-sandbox.ts";

/** A session that ends with the test, and the sandboxes that it has started. */
export async function startWatched(options: SessionOptions = {}): Promise<{ session: Session; sandboxes: Sandbox[] }> {
  const sandboxes: Sandbox[] = [];
  const startWatchedSandbox: StartSandbox = async (settings) => {
    const sandbox = await (options.startSandbox ?? startTestSandbox)(settings);
    sandboxes.push(sandbox);
    return sandbox;
  };
  return { session: await startSession({ ...options, startSandbox: startWatchedSandbox }), sandboxes };
}

/** A session that ends with the test. */
export async function startSession(options: SessionOptions = {}): Promise<Session> {
  const session = await Session.start({ startSandbox: startTestSandbox, ...options });
  onTestFinished(() => session.shutdown());
  return session;
}

/** The process id outside the sandbox of the process that user code knows as `inside`. */
export function livePid(sandboxes: readonly Sandbox[], inside: number): number {
  const found = sandboxes
    .flatMap(({ pid }) => [pid, ...descendantsOf(pid)])
    .find((pid) => {
      const ids = /^NSpid:\s+(.*)$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1]?.split("\t");
      return Number(ids?.at(-1)) === inside;
    });
  if (found === undefined) throw new Error(`no process ${inside} in the sandbox`);
  return found;
}

type Terminal = Extract<ExecutionEvent, { type: "result" | "error" }>;
type ResultData = Extract<ExecutionEvent, { type: "result" }>["data"];
type ErrorData = Extract<ExecutionEvent, { type: "error" }>["data"];

export interface Ran {
  events: ExecutionEvent[];
  terminal: Terminal;
  stdout: string;
  stderr: string;
}

/** Runs code to its end. */
export async function run(session: Session, code: string, request: Omit<ExecuteRequest, "code"> = {}): Promise<Ran> {
  return collect(session.execute({ code, ...request }));
}

/** Reads an execution's events to the end. */
export async function collect(stream: AsyncIterable<ExecutionEvent>): Promise<Ran> {
  const events: ExecutionEvent[] = [];
  for await (const event of stream) events.push(event);
  const terminal = events.at(-1);
  if (terminal?.type !== "result" && terminal?.type !== "error") throw new Error("no terminal event");
  const textOf = (name: string) =>
    events.map((event) => (event.type === "output" && event.data.stream === name ? event.data.data : "")).join("");
  return { events, terminal, stdout: textOf("stdout"), stderr: textOf("stderr") };
}

/** Runs code that must end in a result. */
export async function result(
  session: Session,
  code: string,
  request: Omit<ExecuteRequest, "code"> = {},
): Promise<ResultData> {
  const { terminal } = await run(session, code, request);
  if (terminal.type !== "result") throw new Error(`${code}\nended in ${JSON.stringify(terminal.data)}`);
  return terminal.data;
}

/** Runs code that must end in an error. */
export async function failure(
  session: Session,
  code: string,
  request: Omit<ExecuteRequest, "code"> = {},
): Promise<ErrorData> {
  const { terminal } = await run(session, code, request);
  if (terminal.type !== "error") throw new Error(`${code}\nended in ${JSON.stringify(terminal.data)}`);
  return terminal.data;
}

/** Resolves when a listener of the session was told what `matches` says yes to. */
export function heard<K extends "event" | "state" | "started">(
  session: Session,
  kind: K,
  matches: (...told: Parameters<NonNullable<SessionListener[K]>>) => boolean,
): Promise<void> {
  return new Promise((resolve) => {
    const listen = (...told: Parameters<NonNullable<SessionListener[K]>>) => {
      if (!matches(...told)) return;
      leave();
      resolve();
    };
    const leave = session.subscribe({ [kind]: listen } as SessionListener);
  });
}

/** Resolves when the session has said `text` as output. */
export function printed(session: Session, text: string): Promise<void> {
  return heard(session, "event", ({ type, frame }) => type === "output" && JSON.parse(frame).data.data.includes(text));
}
