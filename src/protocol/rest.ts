/** Owns the bodies and answers of the REST calls (protocol, section 6). */
import { z } from "zod";
import { TimeoutSeconds, TransactionPolicy } from "./client-message.ts";
import { DisplayData, ErrorData, ResultData } from "./event.ts";
import { ExecutionId, MessageId, Seq, SessionName, Timestamp } from "./identity.ts";
import { Restored } from "./restored.ts";
import { Checkpoint } from "./server-message.ts";
import { PendingInput, PendingToolCall, WaitingFor } from "./session-state.ts";
import { ToolOptions } from "./tool.ts";

const session = SessionName.optional();

export const ExecuteBody = z.object({
  code: z.string(),
  transaction_policy: TransactionPolicy.default("commit_always"),
  timeout: TimeoutSeconds.optional(),
  id: MessageId.optional(),
  session,
  ...ToolOptions.shape,
  /** Asks for the files that the execution changed. */
  report_files: z.boolean().optional(),
});

export const ExecuteAccepted = z.object({
  execution_id: ExecutionId,
  status: z.literal("running"),
  session: SessionName,
});

export const ExecutionStatus = z.enum(["running", "succeeded", "failed", "timed_out", "cancelled", "crashed", "lost"]);
export type ExecutionStatus = z.infer<typeof ExecutionStatus>;

export const Execution = z.object({
  execution_id: ExecutionId,
  session: SessionName,
  status: ExecutionStatus,
  code: z.string(),
  transaction_policy: TransactionPolicy,
  timeout: z.number(),
  submitted_at: Timestamp,
  started_at: Timestamp.nullable(),
  finished_at: Timestamp.nullable(),
  execution_time: z.number().nullable(),
  stdout: z.string(),
  stderr: z.string(),
  /** The `data` of its `display` events, in order, at most 8 MiB. */
  displays: z.array(DisplayData),
  displays_truncated: z.boolean(),
  result: ResultData.nullable(),
  error: ErrorData.nullable(),
  output_truncated: z.boolean(),
  /** What it waits for now; null: nothing, or it has ended. */
  waiting_for: WaitingFor.nullable(),
  pending_input: PendingInput.nullable(),
  pending_tool_calls: z.array(PendingToolCall),
  /** How the session was brought back, if this was its first execution afterwards. */
  restored: Restored.nullable(),
  first_seq: Seq.nullable(),
  last_seq: Seq.nullable(),
});
export type Execution = z.infer<typeof Execution>;

export const ExecutionList = z.object({
  executions: z.array(Execution),
  /** Pass as `before` for the next page; null on the last one. */
  next: z.string().nullable(),
});

export const InputBody = z.object({ input_id: z.string().min(1).max(128), value: z.string().nullable() });

export const CheckpointBody = z.object({ name: z.string().min(1).max(128).optional(), session });
export const CheckpointList = z.object({ checkpoints: z.array(Checkpoint) });
export const RestoreBody = z.object({ session, clear_existing: z.boolean().default(true) });

export const SessionAction = z.object({ session });
export const CompleteBody = z.object({ code: z.string(), cursor: z.int().nonnegative(), session });
export const IsCompleteBody = z.object({ code: z.string(), session });
