/** Owns the notice that lists the losses of a restored session, for every call that clients can make. */
import { z } from "zod";
import { CheckpointId, ExecutionId, Timestamp } from "./identity.ts";

/** What could not be saved or brought back; always named. */
export const Missing = z.object({ name: z.string(), type: z.string(), reason: z.string() });
export type Missing = z.infer<typeof Missing>;

/** How a session came back after it was suspended or lost. */
export const Restored = z.object({
  at: Timestamp,
  /** Why the interpreter before was gone: `idle`, `draining`, `runner_lost`, `checkpoint_unavailable`, … */
  reason: z.string(),
  /** The checkpoint that the state came from; null: a fresh interpreter. */
  checkpoint_id: CheckpointId.nullable(),
  missing: z.array(Missing),
  /** Executions whose effect on the state is lost. */
  lost_executions: z.array(ExecutionId),
});
export type Restored = z.infer<typeof Restored>;
