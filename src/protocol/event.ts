/** Owns the journalled events of an execution (protocol, section 5): each has a seq, and exactly one is terminal. */
import { z } from "zod";
import { FileChange } from "./file.ts";
import { CheckpointId, ExecutionId, Seq, Timestamp } from "./identity.ts";
import { Restored } from "./restored.ts";
import { CallId, EndedToolCall, ToolStatus } from "./tool.ts";

/** In every event's `data`: the fields of every message, and the execution that the event belongs to. */
const common = { id: z.string(), timestamp: Timestamp, execution_id: ExecutionId };

export const MimeBundle = z.record(z.string(), z.string());
export const StreamName = z.enum(["stdout", "stderr"]);
export const Transaction = z.enum(["committed", "rolled_back"]);

/** Why an execution ended in `error`. */
export const ErrorReason = z.enum([
  "exception",
  "timeout",
  "cancelled",
  "interrupted",
  "out_of_memory",
  "process_died",
  "runner_lost",
  "output_limit",
]);
export type ErrorReason = z.infer<typeof ErrorReason>;

/** What the session's state is after an `error`. */
export const StateAfterError = z.enum(["kept", "rolled_back", "recovered", "restored", "fresh"]);
export type StateAfterError = z.infer<typeof StateAfterError>;

export const OutputData = z.object({
  ...common,
  type: z.literal("output"),
  data: z.string(),
  stream: StreamName,
});

export const DisplayData = z.object({
  ...common,
  type: z.literal("display"),
  mime: MimeBundle,
  metadata: z.record(z.string(), z.unknown()),
  display_id: z.string().optional(),
  update: z.boolean().optional(),
});

/** Asks the client to remove the output and displays of this execution so far. */
export const ClearOutputData = z.object({
  ...common,
  type: z.literal("clear_output"),
  /** True: only when the next output comes, so that nothing flickers. */
  wait: z.boolean(),
});

export const InputData = z.object({
  ...common,
  type: z.literal("input"),
  input_id: z.string(),
  prompt: z.string(),
  password: z.boolean(),
  /** Seconds that the execution still waits at most. */
  timeout: z.number(),
});

/** Code calls a tool of the client, which answers with `tool_result`. */
export const ToolCallData = z.object({
  ...common,
  type: z.literal("tool_call"),
  call_id: CallId,
  name: z.string(),
  arguments: z.record(z.string(), z.unknown()),
  /** Calls raised together share it. */
  batch: z.string(),
  /** Seconds that the call still waits at most. */
  timeout: z.number(),
});

export const ToolDoneData = z.object({
  ...common,
  type: z.literal("tool_done"),
  call_id: CallId,
  name: z.string(),
  status: ToolStatus,
  /** Seconds from the call to its end. */
  duration: z.number(),
});

export const OutputTruncatedData = z.object({
  ...common,
  type: z.literal("output_truncated"),
  dropped_bytes: z.int().nonnegative(),
  reason: z.string(),
});

/** What both endings may tell besides. */
const ending = {
  /** In the first execution's ending after the session was brought back. */
  restored: Restored.optional(),
  /** The files that the execution changed, if `report_files` asked for them; at most 200. */
  files: z.array(FileChange).optional(),
  files_truncated: z.boolean().optional(),
  /** The tool calls that it made; at most 100. */
  tool_calls: z.array(EndedToolCall).optional(),
};

export const ResultData = z.object({
  ...common,
  type: z.literal("result"),
  value: z.unknown(),
  repr: z.string().nullable(),
  mime: MimeBundle.optional(),
  execution_time: z.number(),
  transaction: Transaction,
  ...ending,
});

export const ErrorData = z.object({
  ...common,
  type: z.literal("error"),
  exception_type: z.string(),
  exception_message: z.string(),
  traceback: z.string(),
  execution_time: z.number(),
  reason: ErrorReason,
  transaction: Transaction,
  state: StateAfterError,
  state_checkpoint_id: CheckpointId.optional(),
  lost_executions: z.array(ExecutionId).optional(),
  ...ending,
});

const envelope = { seq: Seq, id: z.string().optional() };

export const OutputEvent = z.object({ type: z.literal("output"), ...envelope, data: OutputData });
export const DisplayEvent = z.object({ type: z.literal("display"), ...envelope, data: DisplayData });
export const ClearOutputEvent = z.object({ type: z.literal("clear_output"), ...envelope, data: ClearOutputData });
export const InputEvent = z.object({ type: z.literal("input"), ...envelope, data: InputData });
export const ToolCallEvent = z.object({ type: z.literal("tool_call"), ...envelope, data: ToolCallData });
export const ToolDoneEvent = z.object({ type: z.literal("tool_done"), ...envelope, data: ToolDoneData });
/** One that a single socket gets, about output withheld from it, has the seq of the last event withheld. */
export const OutputTruncatedEvent = z.object({
  type: z.literal("output_truncated"),
  ...envelope,
  data: OutputTruncatedData,
});
export const ResultEvent = z.object({ type: z.literal("result"), ...envelope, data: ResultData });
export const ErrorEvent = z.object({ type: z.literal("error"), ...envelope, data: ErrorData });

export const ExecutionEvent = z.discriminatedUnion("type", [
  OutputEvent,
  DisplayEvent,
  InputEvent,
  OutputTruncatedEvent,
  ResultEvent,
  ErrorEvent,
  ToolCallEvent,
  ToolDoneEvent,
  ClearOutputEvent,
]);
export type ExecutionEvent = z.infer<typeof ExecutionEvent>;

export const EventType = z.enum([
  "output",
  "display",
  "input",
  "output_truncated",
  "result",
  "error",
  "tool_call",
  "tool_done",
  "clear_output",
]);
export type EventType = z.infer<typeof EventType>;

/** True for the one event that ends an execution. */
export function isTerminal(type: EventType): boolean {
  return type === "result" || type === "error";
}
