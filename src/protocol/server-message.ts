/** Owns every message that a client receives over the WebSocket (protocol, section 5). */
import { z } from "zod";
import { BranchedMessage, UndoneMessage } from "./branch.ts";
import {
  ClearOutputEvent,
  DisplayEvent,
  ErrorEvent,
  InputEvent,
  OutputEvent,
  OutputTruncatedEvent,
  ResultEvent,
  ToolCallEvent,
  ToolDoneEvent,
} from "./event.ts";
import { CheckpointId, ClientId, ExecutionId, MessageId, Seq, SessionName } from "./identity.ts";
import { Problem } from "./problem.ts";
import { VariableList } from "./session-resource.ts";
import { Missing, PendingInput, PendingToolCall, SessionState } from "./session-state.ts";
import { ToolBindings } from "./tool.ts";

export { Missing, PendingInput, SessionState };

const id = MessageId.optional();

export const AttachedMessage = z.object({
  type: z.literal("attached"),
  id,
  data: z.object({
    client_id: ClientId,
    session: SessionName,
    state: SessionState,
    last_seq: Seq,
    first_seq: Seq,
    pending_input: PendingInput.nullable(),
    pending_tool_calls: z.array(PendingToolCall),
    running: ExecutionId.nullable(),
  }),
});

export const SessionMessage = z.object({
  type: z.literal("session"),
  id,
  data: z.object({
    session: SessionName,
    state: SessionState,
    reason: z.string(),
    checkpoint_id: CheckpointId.optional(),
    missing: z.array(Missing).optional(),
    lost_executions: z.array(ExecutionId).optional(),
    /** The newest state in the store, with the reason `saved`. */
    saved: z.object({ at: z.number(), is_current: z.boolean() }).optional(),
  }),
});

/** Events from `from` to `to`, both included, are no longer kept. */
export const GapMessage = z.object({
  type: z.literal("gap"),
  id,
  data: z.object({ from: Seq, to: Seq }),
});

export const Checkpoint = z.object({
  checkpoint_id: CheckpointId,
  name: z.string().nullable(),
  created_at: z.number(),
  /** Bytes of the stored blob. */
  size: z.int().nonnegative(),
  /** True once the blob is in the store, so that the checkpoint outlives its runner. */
  durable: z.boolean(),
  skipped: z.array(Missing),
});
export type Checkpoint = z.infer<typeof Checkpoint>;

export const CheckpointCreatedMessage = z.object({
  type: z.literal("checkpoint_created"),
  id,
  checkpoint_id: CheckpointId,
  data: Checkpoint,
});

export const RestoreOutcome = z.object({
  status: z.literal("restored"),
  checkpoint_id: CheckpointId,
  source: z.enum(["snapshot", "stored"]),
  missing: z.array(Missing),
});
export type RestoreOutcome = z.infer<typeof RestoreOutcome>;

export const RestoredMessage = z.object({
  type: z.literal("restored"),
  id,
  checkpoint_id: CheckpointId,
  data: RestoreOutcome,
});

export const CancelledMessage = z.object({
  type: z.literal("cancelled"),
  id,
  data: z.object({ execution_id: ExecutionId }),
});

export const InterruptedMessage = z.object({
  type: z.literal("interrupted"),
  id,
  /** The execution that got the signal; null if nothing ran. */
  data: z.object({ execution_id: ExecutionId.nullable() }),
});

export const Completions = z.object({
  matches: z.array(z.string()),
  cursor_start: z.int().nonnegative(),
  cursor_end: z.int().nonnegative(),
});
export const CompletionsMessage = z.object({ type: z.literal("completions"), id, data: Completions });

export const Completeness = z.object({
  status: z.enum(["complete", "incomplete", "invalid"]),
  /** The indent of the next line, if the code is incomplete. */
  indent: z.string().optional(),
});
export const CompletenessMessage = z.object({ type: z.literal("completeness"), id, data: Completeness });

export const ToolBindingsMessage = z.object({ type: z.literal("tools"), id, data: ToolBindings });
export const VariableListMessage = z.object({ type: z.literal("variables"), id, data: VariableList });
export const PongMessage = z.object({ type: z.literal("pong"), id, data: z.object({}) });
export const ProblemMessage = z.object({ type: z.literal("problem"), id, data: Problem });

/** Every message from server to client, told apart by `type`. */
export const ServerMessage = z.discriminatedUnion("type", [
  OutputEvent,
  DisplayEvent,
  InputEvent,
  OutputTruncatedEvent,
  ResultEvent,
  ErrorEvent,
  ToolCallEvent,
  ToolDoneEvent,
  ClearOutputEvent,
  AttachedMessage,
  SessionMessage,
  GapMessage,
  CheckpointCreatedMessage,
  RestoredMessage,
  CancelledMessage,
  InterruptedMessage,
  CompletionsMessage,
  CompletenessMessage,
  ToolBindingsMessage,
  VariableListMessage,
  UndoneMessage,
  BranchedMessage,
  PongMessage,
  ProblemMessage,
]);
export type ServerMessage = z.infer<typeof ServerMessage>;
