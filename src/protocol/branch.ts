/** Owns branch and undo (protocol, section 14): bodies, messages and answers. */
import { z } from "zod";
import { CheckpointId, ExecutionId, MessageId, SessionName } from "./identity.ts";
import { SessionOverview } from "./session-resource.ts";
import { Missing } from "./session-state.ts";

const session = SessionName.optional();
const id = MessageId.optional();

/** `POST /api/v1/session/branch`. */
export const BranchBody = z.object({
  session,
  /** The new session's name. */
  name: SessionName,
  /** The state that it begins with; absent: the session's state as it is now. */
  checkpoint_id: CheckpointId.optional(),
});

export const BranchOutcome = z.object({
  session: SessionOverview,
  from: SessionName,
  checkpoint_id: CheckpointId,
  missing: z.array(Missing),
});
export type BranchOutcome = z.infer<typeof BranchOutcome>;

/** `POST /api/v1/session/undo`. */
export const UndoBody = z.object({
  session,
  /** The state right before it comes back; absent: before the last one. */
  execution_id: ExecutionId.optional(),
});

export const UndoOutcome = z.object({
  status: z.literal("restored"),
  execution_id: ExecutionId,
  source: z.enum(["snapshot", "stored"]),
});
export type UndoOutcome = z.infer<typeof UndoOutcome>;

export const UndoMessage = z.object({ type: z.literal("undo"), id, execution_id: ExecutionId.optional() });
export const BranchMessage = z.object({ type: z.literal("branch"), id, name: SessionName });

export const UndoneMessage = z.object({ type: z.literal("undone"), id, data: UndoOutcome });
export const BranchedMessage = z.object({ type: z.literal("branched"), id, data: BranchOutcome });
