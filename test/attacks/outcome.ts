/** Owns one execution as an attack's test sees it: everything printed, and how it ended. */
import assert from "node:assert/strict";
import type { ErrorReason, ExecutionEvent } from "../../src/protocol/event.ts";
import { isTerminal } from "../../src/protocol/event.ts";
import type { Session } from "../../worker-runner/session/session.ts";

export interface Outcome {
  stdout: string;
  stderr: string;
  outputCharacters: number;
  end: Extract<ExecutionEvent, { type: "result" | "error" }>;
}

/** Output beyond this is counted and not kept. */
const KEPT_CHARACTERS = 4 * 1024 * 1024;

/** Runs code to its end, and sees to it that there is exactly one, last. */
export async function run(session: Session, code: string, timeout = 10): Promise<Outcome> {
  const kept = { stdout: "", stderr: "" };
  let outputCharacters = 0;
  let end: Outcome["end"] | null = null;
  for await (const event of session.execute({ code, timeout })) {
    assert.equal(end, null, "nothing follows the end of an execution");
    if (event.type === "output") {
      outputCharacters += event.data.data.length;
      if (kept[event.data.stream].length < KEPT_CHARACTERS) kept[event.data.stream] += event.data.data;
    }
    if (isTerminal(event.type)) end = event as Outcome["end"];
  }
  assert.ok(end, "every execution ends");
  return { ...kept, outputCharacters, end };
}

/** The value or repr of an outcome that must be a result. */
export function resultOf(outcome: Outcome | undefined): unknown {
  assert.ok(outcome);
  assert.equal(outcome.end.type, "result", JSON.stringify(outcome.end.data).slice(0, 2000));
  return outcome.end.data.type === "result" ? outcome.end.data.value : undefined;
}

/** What an execution that went well has printed. */
export function printedBy(outcome: Outcome | undefined): string {
  resultOf(outcome);
  return outcome?.stdout ?? "";
}

/** The error of an outcome that must have failed so. */
export function assertFailed(outcome: Outcome | undefined, reason: ErrorReason, exceptionType?: string) {
  assert.ok(outcome);
  const { data } = outcome.end;
  assert.ok(data.type === "error", `expected ${reason}, got ${JSON.stringify(data).slice(0, 500)}`);
  assert.equal(data.reason, reason, `${data.exception_type}: ${data.exception_message}`);
  if (exceptionType !== undefined) assert.equal(data.exception_type, exceptionType, data.exception_message);
  return data;
}
