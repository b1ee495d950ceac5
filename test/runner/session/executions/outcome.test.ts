import { describe, expect, it } from "vitest";
import type { MessageOf } from "../../../../worker-runner/channel/message.ts";
import type { LiveEnd } from "../../../../worker-runner/interpreter/live.ts";
import {
  decideOutcome,
  describeEnd,
  type LastWord,
  type StopReason,
} from "../../../../worker-runner/session/executions/outcome.ts";

const TIMEOUT = 2;
type ErrorReason = MessageOf<"error">["reason"];

function resultAfter(seconds: number): LastWord {
  const message = { type: "result", execution_id: "1", value: "1", repr: "1", execution_time: seconds } as const;
  return { kind: "result", message };
}

function errorOf(reason: ErrorReason): LastWord {
  const exception = { exception_type: "E", exception_message: "m", traceback: "t", execution_time: 1, reason };
  return { kind: "error", message: { type: "error", execution_id: "1", ...exception } };
}

function death(end: Partial<LiveEnd>, isOutOfMemory = false): LastWord {
  const whole = { code: null, signal: null, wasRunning: true, violation: null, isSandboxGone: false, ...end };
  return { kind: "died", end: whole, isOutOfMemory, seconds: 1 };
}

function reasonOf(last: LastWord, stop: StopReason | null): string {
  const outcome = decideOutcome(last, stop, TIMEOUT);
  return outcome.kind === "result" ? "result" : outcome.failure.reason;
}

describe("an execution that ended in a result", () => {
  it.each<[StopReason | null, string]>([
    [null, "result"],
    ["interrupted", "result"],
    ["cancelled", "result"],
    ["output_limit", "output_limit"],
    ["timeout", "timeout"],
  ])("after %s is told as %s", (stop, told) => {
    expect(reasonOf(resultAfter(1), stop)).toBe(told);
  });
});

describe("an execution that ended in an exception", () => {
  it.each<[ErrorReason, StopReason | null, string]>([
    ["exception", null, "exception"],
    ["exception", "interrupted", "exception"],
    ["exception", "timeout", "timeout"],
    ["interrupted", "interrupted", "interrupted"],
    ["interrupted", "cancelled", "cancelled"],
    ["interrupted", "timeout", "timeout"],
    ["interrupted", null, "exception"],
    ["out_of_memory", null, "out_of_memory"],
  ])("(%s) after %s is told as %s", (reason, stop, told) => {
    expect(reasonOf(errorOf(reason), stop)).toBe(told);
  });

  it("keeps its traceback when its time was up", () => {
    const outcome = decideOutcome(errorOf("interrupted"), "timeout", TIMEOUT);
    const traceback = `t\nTimeoutError: the execution took longer than its ${TIMEOUT} s\n`;
    expect(outcome).toMatchObject({ failure: { exception_type: "TimeoutError", traceback } });
  });
});

describe("an execution whose process died", () => {
  it.each<[StopReason | null, boolean, string]>([
    [null, false, "process_died"],
    [null, true, "out_of_memory"],
    ["timeout", false, "timeout"],
    ["interrupted", false, "interrupted"],
    ["cancelled", true, "cancelled"],
  ])("after %s, out of memory: %s, is told as %s", (stop, isOutOfMemory, told) => {
    expect(reasonOf(death({ signal: 9 }, isOutOfMemory), stop)).toBe(told);
  });

  it.each<[Partial<LiveEnd>, string]>([
    [{ signal: 11 }, "signal 11 (SIGSEGV)"],
    [{ code: 3 }, "exited with code 3"],
    [{ signal: 9, violation: "two results" }, "invalid frame: two results"],
    [{ isSandboxGone: true }, "sandbox ended"],
  ])("by %j is described as such", (end, words) => {
    const whole = { code: null, signal: null, wasRunning: true, violation: null, isSandboxGone: false, ...end };
    expect(describeEnd(whole)).toContain(words);
  });
});
