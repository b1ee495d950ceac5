/** Owns what a run gives back: it gathers an execution's events into one typed outcome. */
import type { z } from "zod";
import type { ErrorData, ErrorReason, ResultData, StateAfterError } from "../protocol/event.ts";
import type { WireEvent } from "./wire.ts";

/** Something that the code showed: text by media type, base64 for binary types. */
export interface Display {
  mime: Record<string, string>;
  metadata: Record<string, unknown>;
  displayId: string | null;
}

/** Why the code did not end well. */
export interface Failure {
  /** Name of the exception's class. */
  type: string;
  message: string;
  traceback: string;
  reason: ErrorReason;
  /** What the session's state is now. */
  state: StateAfterError;
  /** Executions whose effects are lost, where the state is an older one. */
  lostExecutions: string[];
}

/** How an execution ended. That Python code failed is an outcome like any other: look at `ok` or `error`. */
export interface Outcome {
  executionId: string;
  ok: boolean;
  /** Value of the last expression where that is JSON, else null. */
  value: unknown;
  /** Python's `repr` of that value; null where there is none. */
  repr: string | null;
  /** Richer forms of the value by media type. */
  mime: Record<string, string>;
  stdout: string;
  stderr: string;
  displays: Display[];
  /** Files that the code changed, where `reportFiles` asked for them. */
  files: NonNullable<Ending["files"]>;
  /** True where more files changed than `files` has. */
  hasMoreFiles: boolean;
  toolCalls: NonNullable<Ending["tool_calls"]>;
  /** Where the state came from, in the first outcome after the session was brought back; else null. */
  restored: NonNullable<Ending["restored"]> | null;
  error: Failure | null;
  /** Seconds. */
  executionTime: number;
  transaction: "committed" | "rolled_back";
  /** True where the service kept less output than the code wrote. */
  isTruncated: boolean;
  /** Seq of the last event: what a later client passes as `after`. */
  lastSeq: number;
}

type Ending = z.infer<typeof ResultData> | z.infer<typeof ErrorData>;

export class OutcomeCollector {
  readonly #keepsOutput: boolean;
  readonly #streams = { stdout: [] as string[], stderr: [] as string[] };
  #displays: Display[] = [];
  #isTruncated = false;

  constructor(keepsOutput: boolean) {
    this.#keepsOutput = keepsOutput;
  }

  /** Takes an event that ends nothing. */
  take(event: WireEvent): void {
    if (event.type === "output" && this.#keepsOutput) this.#streams[event.data.stream].push(event.data.data);
    else if (event.type === "display") this.#show(event.data);
    else if (event.type === "output_truncated") this.#isTruncated = true;
    else if (event.type === "clear_output") this.#displays = [];
  }

  /** Events are no longer kept by the service. */
  noteGap(): void {
    this.#isTruncated = true;
  }

  /** The outcome of the execution that ended so. */
  finish(data: Ending, lastSeq: number): Outcome {
    const isResult = data.type === "result";
    return {
      executionId: data.execution_id,
      ok: isResult,
      value: isResult ? (data.value ?? null) : null,
      repr: isResult ? data.repr : null,
      mime: (isResult ? data.mime : undefined) ?? {},
      stdout: this.#streams.stdout.join(""),
      stderr: this.#streams.stderr.join(""),
      displays: this.#displays,
      files: data.files ?? [],
      hasMoreFiles: data.files_truncated ?? false,
      toolCalls: data.tool_calls ?? [],
      restored: data.restored ?? null,
      error: isResult ? null : failureOf(data),
      executionTime: data.execution_time,
      transaction: data.transaction,
      isTruncated: this.#isTruncated,
      lastSeq,
    };
  }

  #show(data: Extract<WireEvent, { type: "display" }>["data"]): void {
    const { mime, metadata, display_id: displayId = null } = data;
    const shown = { mime, metadata, displayId };
    if (!data.update) this.#displays.push(shown);
    else this.#displays = this.#displays.map((one) => (one.displayId === displayId ? shown : one));
  }
}

function failureOf(data: z.infer<typeof ErrorData>): Failure {
  return {
    type: data.exception_type,
    message: data.exception_message,
    traceback: data.traceback,
    reason: data.reason,
    state: data.state,
    lostExecutions: data.lost_executions ?? [],
  };
}
