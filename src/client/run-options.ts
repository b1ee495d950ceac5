/** Owns what a caller may say about one run, and the message that it becomes. */

import type { z } from "zod";
import type { InputData } from "../protocol/event.ts";
import type { Display } from "./outcome.ts";
import type { ExecuteFields, ToolDeclaration, WireEvent } from "./wire.ts";

/** A question of the code: `input()` or `getpass()`. */
export type InputRequest = Pick<z.infer<typeof InputData>, "input_id" | "prompt" | "password" | "timeout">;

/** A function that Python may call: it gets the arguments by name, and gives back JSON. */
export type ToolFunction = (arguments_: Record<string, unknown>) => unknown;

/** A tool with a description for the author of the code. */
export type Tool = Omit<ToolDeclaration, "name"> & { run: ToolFunction };

export type Tools = Record<string, ToolFunction | Tool>;

export interface RunSettings {
  /** Makes the run repeatable: the same id with the same code runs once, however often it is sent. */
  id?: string;
  /** Seconds until the code is interrupted. */
  timeout?: number;
  /** What happens to the session's state at the end (default `commit_always`). */
  policy?: "commit_always" | "rollback_on_failure" | "rollback_always";
  /** Aborting it cancels the execution; the outcome then has the reason `cancelled`. */
  signal?: AbortSignal;
  /** What the code may call as `tools.NAME(…)`, during this run only. */
  tools?: Tools;
  /** How many calls of tools the code may make (default 1,000), and how many of them at a time (default 16). */
  maxToolCalls?: number;
  maxParallelToolCalls?: number;
  /** Asks for the files that the code changed. */
  reportFiles?: boolean;
  /** False: the outcome's `stdout` and `stderr` stay empty, for output too large to keep. */
  keepOutput?: boolean;
  /** The W3C trace that the execution belongs to, as a `traceparent`; without it that of the client. */
  traceparent?: string;
  onOutput?(text: string, stream: "stdout" | "stderr"): void;
  onDisplay?(display: Display): void;
  /** Answers `input()`; null is end of file. Without it another client of the session may answer. */
  onInput?(request: InputRequest): string | null | Promise<string | null>;
  onEvent?(event: WireEvent): void;
}

/** What a caller may say about an execution that was submitted elsewhere. */
export type ResumeSettings = Pick<
  RunSettings,
  "signal" | "tools" | "keepOutput" | "onOutput" | "onDisplay" | "onInput" | "onEvent"
>;

function declarationOf([name, tool]: [string, ToolFunction | Tool]): ToolDeclaration {
  if (typeof tool === "function") return { name };
  const { run: _, ...declared } = tool;
  return { ...declared, name };
}

/** The declarations of tools, without the functions. */
export function declarationsOf(tools: Tools): ToolDeclaration[] {
  return Object.entries(tools).map(declarationOf);
}

/** The fields of the `execute`. */
export function executeFields(code: string, id: string, settings: RunSettings): ExecuteFields {
  const { timeout, policy, tools, reportFiles, maxToolCalls, maxParallelToolCalls, traceparent } = settings;
  return {
    id,
    code,
    ...(timeout === undefined ? {} : { timeout }),
    ...(policy === undefined ? {} : { transaction_policy: policy }),
    ...(tools === undefined ? {} : { tools: declarationsOf(tools) }),
    ...(maxToolCalls === undefined ? {} : { max_tool_calls: maxToolCalls }),
    ...(maxParallelToolCalls === undefined ? {} : { max_parallel_tool_calls: maxParallelToolCalls }),
    ...(reportFiles === undefined ? {} : { report_files: reportFiles }),
    ...(traceparent === undefined ? {} : { traceparent }),
  };
}
