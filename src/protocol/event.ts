/** Owns the journalled events of an execution (protocol, section 5): each has a seq, and exactly one is terminal. */
import { z } from "zod";
import { CheckpointId, ExecutionId, Seq, Timestamp } from "./identity.ts";

/** In every event's `data`: the seed's message fields, and the execution that it belongs to. */
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

export const InputData = z.object({
  ...common,
  type: z.literal("input"),
  input_id: z.string(),
  prompt: z.string(),
  password: z.boolean(),
  /** Seconds that the execution still waits at most. */
  timeout: z.number(),
});

export const OutputTruncatedData = z.object({
  ...common,
  type: z.literal("output_truncated"),
  dropped_bytes: z.int().nonnegative(),
  reason: z.string(),
});

export const ResultData = z.object({
  ...common,
  type: z.literal("result"),
  value: z.unknown(),
  repr: z.string().nullable(),
  mime: MimeBundle.optional(),
  execution_time: z.number(),
  transaction: Transaction,
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
});

const envelope = { seq: Seq, id: z.string().optional() };

export const OutputEvent = z.object({ type: z.literal("output"), ...envelope, data: OutputData });
export const DisplayEvent = z.object({ type: z.literal("display"), ...envelope, data: DisplayData });
export const InputEvent = z.object({ type: z.literal("input"), ...envelope, data: InputData });
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
]);
export type ExecutionEvent = z.infer<typeof ExecutionEvent>;

export const EventType = z.enum(["output", "display", "input", "output_truncated", "result", "error"]);
export type EventType = z.infer<typeof EventType>;

/** True for the one event that ends an execution. */
export function isTerminal(type: EventType): boolean {
  return type === "result" || type === "error";
}
