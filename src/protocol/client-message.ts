/** Owns every message that a client sends over the WebSocket (protocol, section 4). */
import { z } from "zod";
import { BranchMessage, UndoMessage } from "./branch.ts";
import { CheckpointId, ExecutionId, MessageId } from "./identity.ts";
import { VariablesMessage } from "./session-resource.ts";
import { ToolDefinitions, ToolOptions, ToolResultMessage } from "./tool.ts";
import { TRACEPARENT_MAX_CHARS } from "./trace.ts";

/** What happens to the session's state when an execution ends. */
export const TransactionPolicy = z.enum(["commit_always", "rollback_on_failure", "rollback_always"]);
export type TransactionPolicy = z.infer<typeof TransactionPolicy>;

/** Seconds until an execution is interrupted, then killed. The edge also holds it to its configured maximum; absent: 30, or that maximum. */
export const TimeoutSeconds = z.number().positive();

const id = MessageId.optional();

export const ExecuteMessage = z.object({
  type: z.literal("execute"),
  id,
  code: z.string(),
  transaction_policy: TransactionPolicy.default("commit_always"),
  timeout: TimeoutSeconds.optional(),
  ...ToolOptions.shape,
  /** Asks for the files that the execution changed. */
  report_files: z.boolean().optional(),
  /** The W3C trace that the execution belongs to; absent: that of the socket's upgrade. What is no `traceparent` is ignored. */
  traceparent: z.string().max(TRACEPARENT_MAX_CHARS).optional(),
});
export type ExecuteMessage = z.infer<typeof ExecuteMessage>;

export const InputResponseMessage = z.object({
  type: z.literal("input_response"),
  id,
  input_id: z.string().min(1).max(128),
  /** The line without its line feed; null is end of file. */
  value: z.string().nullable(),
});

export const CheckpointMessage = z.object({
  type: z.literal("checkpoint"),
  id,
  name: z.string().min(1).max(128).optional(),
});

export const RestoreMessage = z.object({
  type: z.literal("restore"),
  id,
  checkpoint_id: CheckpointId,
  /** False keeps names that the checkpoint lacks. */
  clear_existing: z.boolean().default(true),
});

export const CancelMessage = z.object({ type: z.literal("cancel"), id, execution_id: ExecutionId });
export const InterruptMessage = z.object({ type: z.literal("interrupt"), id });
export const ResetMessage = z.object({ type: z.literal("reset"), id });

export const AttachMessage = z.object({
  type: z.literal("attach"),
  id,
  /** Events with a greater seq are sent again; absent: none. */
  after: z.int().nonnegative().optional(),
  /** Bytes that may be on the way without an `ack`; absent: the client does not acknowledge. */
  window: z.int().positive().optional(),
});

export const AckMessage = z.object({ type: z.literal("ack"), id, seq: z.int().nonnegative() });

export const CompleteMessage = z.object({
  type: z.literal("complete"),
  id,
  code: z.string(),
  /** Offset into `code` in Unicode code points. */
  cursor: z.int().nonnegative(),
});

export const IsCompleteMessage = z.object({ type: z.literal("is_complete"), id, code: z.string() });
/** Replaces the session's tools. */
export const ToolsMessage = z.object({ type: z.literal("tools"), id, tools: ToolDefinitions });
export const PingMessage = z.object({ type: z.literal("ping"), id });

/** Every message from client to server, told apart by `type`. */
export const ClientMessage = z.discriminatedUnion("type", [
  ExecuteMessage,
  InputResponseMessage,
  CheckpointMessage,
  RestoreMessage,
  CancelMessage,
  InterruptMessage,
  ResetMessage,
  AttachMessage,
  AckMessage,
  CompleteMessage,
  IsCompleteMessage,
  ToolsMessage,
  ToolResultMessage,
  VariablesMessage,
  BranchMessage,
  UndoMessage,
  PingMessage,
]);
export type ClientMessage = z.infer<typeof ClientMessage>;
