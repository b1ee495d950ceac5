/** Owns deciding how an execution ended, from the request to stop it and the interpreter's last message or its death. */
import { constants } from "node:os";
import type { ErrorReason } from "../../../src/protocol/event.ts";
import type { MessageOf } from "../../channel/message.ts";
import type { LiveEnd } from "../../interpreter/live.ts";

/** Why an execution was told to stop. The first reason counts. */
export type StopReason = "interrupted" | "timeout" | "cancelled" | "output_limit";

/** How the interpreter finished with an execution. */
export type LastWord =
  | { kind: "result"; message: MessageOf<"result"> }
  | { kind: "error"; message: MessageOf<"error"> }
  /** The process died, or was killed because it did not stop. */
  | { kind: "died"; end: LiveEnd; isOutOfMemory: boolean; seconds: number }
  /** It never began. */
  | { kind: "unstarted"; detail: string; isOutOfMemory: boolean };

export interface Failure {
  exception_type: string;
  exception_message: string;
  traceback: string;
  execution_time: number;
  reason: ErrorReason;
}

export type Outcome = { kind: "result"; message: MessageOf<"result"> } | { kind: "failure"; failure: Failure };

/**
 * Code that returns a result after an interrupt or a cancel has succeeded. After a timeout it has not: callers rely on the limit, and
 * the runner's clock decides.
 */
export function decideOutcome(last: LastWord, stop: StopReason | null, timeoutSeconds: number): Outcome {
  switch (last.kind) {
    case "result": {
      if (stop !== "timeout" && stop !== "output_limit") return { kind: "result", message: last.message };
      const told = stopped(stop, timeoutSeconds);
      return failed({ ...told, traceback: endTraceback("", told), execution_time: last.message.execution_time });
    }
    case "error":
      return failed(describeError(last.message, stop, timeoutSeconds));
    case "died":
      return failed({
        ...describeDeath(last.end, last.isOutOfMemory, stop, timeoutSeconds),
        execution_time: last.seconds,
      });
    case "unstarted":
      return failed({
        ...stopped(stop ?? "cancelled", timeoutSeconds),
        ...(last.isOutOfMemory ? { reason: "out_of_memory" as const, exception_type: "MemoryError" } : {}),
        exception_message: last.detail,
        execution_time: 0,
      });
  }
}

function failed(failure: Failure): Outcome {
  return { kind: "failure", failure };
}

function describeError(message: MessageOf<"error">, stop: StopReason | null, timeoutSeconds: number): Failure {
  const { exception_type, exception_message, traceback, execution_time } = message;
  const own = { exception_type, exception_message, traceback, execution_time };
  if (stop === "timeout" || stop === "output_limit") {
    const told = stopped(stop, timeoutSeconds);
    return { ...told, traceback: endTraceback(traceback, told), execution_time };
  }
  if (message.reason !== "interrupted") return { ...own, reason: message.reason };
  // Nobody asked for this KeyboardInterrupt, so the code raised it.
  return { ...own, reason: stop ?? "exception" };
}

function stopped(stop: StopReason, timeoutSeconds: number): Omit<Failure, "execution_time"> {
  const [exception_type, exception_message] = {
    interrupted: ["KeyboardInterrupt", "the execution was interrupted"],
    cancelled: ["CancelledError", "the execution was cancelled"],
    timeout: ["TimeoutError", `the execution took longer than its ${timeoutSeconds} s`],
    output_limit: ["OutputLimitError", "the execution wrote more output than it may"],
  }[stop] as [string, string];
  return { exception_type, exception_message, traceback: "", reason: stop };
}

/** The traceback of where the code was, ending in the error that the execution is told to have ended in. */
function endTraceback(traceback: string, told: Pick<Failure, "exception_type" | "exception_message">): string {
  const last = `${told.exception_type}: ${told.exception_message}\n`;
  // The interrupt that stopped the code is the runner's own means.
  const frames = traceback.replace(/(^|\n)KeyboardInterrupt(: [^\n]*)?\n?$/, "$1");
  return `${frames}${frames === "" || frames.endsWith("\n") ? "" : "\n"}${last}`;
}

function describeDeath(
  end: LiveEnd,
  isOutOfMemory: boolean,
  stop: StopReason | null,
  timeoutSeconds: number,
): Omit<Failure, "execution_time"> {
  if (stop) {
    const told = stopped(stop, timeoutSeconds);
    const killed = {
      ...told,
      exception_message: `${told.exception_message}; it did not stop by itself and was killed`,
    };
    return stop === "timeout" || stop === "output_limit" ? { ...killed, traceback: endTraceback("", killed) } : killed;
  }
  if (isOutOfMemory) {
    const exception_message = `the interpreter was killed for using more memory than it may (${describeEnd(end)})`;
    return { exception_type: "MemoryError", exception_message, traceback: "", reason: "out_of_memory" };
  }
  return {
    exception_type: "InterpreterDied",
    exception_message: describeEnd(end),
    traceback: "",
    reason: "process_died",
  };
}

/** If a number has two names (SIGABRT, SIGIOT), the first is the usual one. */
const signalNames = new Map(
  Object.entries(constants.signals)
    .reverse()
    .map(([name, number]) => [number as number, name]),
);

/** One clause on how a process ended. */
export function describeEnd(end: LiveEnd): string {
  if (end.violation) return `the interpreter was killed for an invalid frame: ${end.violation}`;
  if (end.isSandboxGone) return "the interpreter's sandbox ended";
  if (end.signal !== null) {
    return `the interpreter was killed by signal ${end.signal} (${signalNames.get(end.signal) ?? "unknown"})`;
  }
  return `the interpreter exited with code ${end.code}`;
}
