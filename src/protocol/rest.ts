/** Owns the bodies and answers of the REST calls (protocol, section 6). */
import { z } from "zod";
import { TimeoutSeconds, TransactionPolicy } from "./client-message.ts";
import { ErrorData, ResultData } from "./event.ts";
import { ExecutionId, MessageId, Seq, SessionName, Timestamp } from "./identity.ts";
import { Checkpoint, PendingInput, SessionState } from "./server-message.ts";

const session = SessionName.optional();

export const ExecuteBody = z.object({
  code: z.string(),
  transaction_policy: TransactionPolicy.default("commit_always"),
  timeout: TimeoutSeconds.optional(),
  id: MessageId.optional(),
  session,
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
  result: ResultData.nullable(),
  error: ErrorData.nullable(),
  output_truncated: z.boolean(),
  pending_input: PendingInput.nullable(),
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

export const SessionOverview = z.object({
  client_id: z.string(),
  session: SessionName,
  state: SessionState,
  created_at: Timestamp.nullable(),
  last_active_at: Timestamp.nullable(),
  last_seq: Seq,
  first_seq: Seq,
  running: ExecutionId.nullable(),
  queued: z.int().nonnegative(),
  pending_input: PendingInput.nullable(),
  executions: z.int().nonnegative(),
  checkpoints: z.int().nonnegative(),
  sockets: z.int().nonnegative(),
  memory: z.object({ resident_bytes: z.int().nullable(), limit_bytes: z.int().nullable() }),
  runner: z.object({ id: z.string(), version: z.string() }).nullable(),
});
export type SessionOverview = z.infer<typeof SessionOverview>;

export const SessionList = z.object({ sessions: z.array(SessionOverview) });
export const SessionAction = z.object({ session });
export const CompleteBody = z.object({ code: z.string(), cursor: z.int().nonnegative(), session });
export const IsCompleteBody = z.object({ code: z.string(), session });
