/** Owns every message that a client receives over the WebSocket (protocol, section 5). */
import { z } from "zod";
import {
  DisplayEvent,
  ErrorEvent,
  InputData,
  InputEvent,
  OutputEvent,
  OutputTruncatedEvent,
  ResultEvent,
} from "./event.ts";
import { CheckpointId, ClientId, ExecutionId, MessageId, Seq, SessionName } from "./identity.ts";
import { Problem } from "./problem.ts";

export const SessionState = z.enum(["starting", "ready", "busy", "suspended", "restored", "reset", "ended"]);
export type SessionState = z.infer<typeof SessionState>;

/** What could not be saved or brought back; always named. */
export const Missing = z.object({ name: z.string(), type: z.string(), reason: z.string() });
export type Missing = z.infer<typeof Missing>;

/** An `input()` that waits for an answer. */
export const PendingInput = InputData.pick({
  input_id: true,
  prompt: true,
  password: true,
  timeout: true,
}).extend({ execution_id: ExecutionId });
export type PendingInput = z.infer<typeof PendingInput>;

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
  /** The execution that got the signal; null where nothing ran. */
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
  /** What the next line should begin with, where the code is incomplete. */
  indent: z.string().optional(),
});
export const CompletenessMessage = z.object({ type: z.literal("completeness"), id, data: Completeness });

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
  AttachedMessage,
  SessionMessage,
  GapMessage,
  CheckpointCreatedMessage,
  RestoredMessage,
  CancelledMessage,
  InterruptedMessage,
  CompletionsMessage,
  CompletenessMessage,
  PongMessage,
  ProblemMessage,
]);
export type ServerMessage = z.infer<typeof ServerMessage>;
