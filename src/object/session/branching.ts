/** Owns making a session from another session's state or checkpoint. */
import { ProblemError } from "../../problem.ts";
import type { BranchOutcome } from "../../protocol/branch.ts";
import type { CheckpointId } from "../../protocol/identity.ts";
import type { Missing } from "../../protocol/restored.ts";
import type { CheckpointRecord } from "../store/checkpoint-store.ts";
import type { NamedSession } from "./named-session.ts";
import { overviewOf } from "./overview.ts";

/** An automatic checkpoint can be replaced by a newer one while it is copied. */
const COPY_ATTEMPTS = 2;

const unavailable = (detail: string) => new ProblemError({ code: "checkpoint_unavailable", detail });

/**
 * Begins `target` with the state of `source`, or of a checkpoint. `target` is claimed and holds no state.
 *
 * @throws ProblemError `not_found`, `checkpoint_unavailable`, or what starting an interpreter can throw. `target` then is as before.
 */
export async function branch(
  source: NamedSession,
  target: NamedSession,
  checkpointId: CheckpointId | undefined,
): Promise<BranchOutcome> {
  const { stores } = source.context;
  const copy = await copyState(source, target, checkpointId);
  let missing: Missing[];
  try {
    missing = await begin(source, target, copy);
  } finally {
    // Once the new session uses the copy, the session deletes it.
    if (target.context.record.recoveryId !== copy.id) stores.inBackground(stores.checkpoints.delete(copy));
  }
  const session = await overviewOf(target);
  return { session, from: source.context.record.name, checkpoint_id: checkpointId ?? copy.id, missing };
}

/** A stored copy of the state that belongs to `target`. */
async function copyState(
  source: NamedSession,
  target: NamedSession,
  checkpointId: CheckpointId | undefined,
): Promise<CheckpointRecord> {
  const { checkpoints, owner, storage } = source.context.stores;
  for (let attempt = 0; attempt < COPY_ATTEMPTS; attempt += 1) {
    const state = checkpointId === undefined ? await storedState(source) : checkpoints.visible(checkpointId);
    const copy = await storage.within(state.size, 0, false, () =>
      checkpoints.copy(owner, state, target.context.record.name),
    );
    if (copy !== null) return copy;
  }
  throw unavailable(
    checkpointId === undefined ? "The session's state could not be stored." : "The checkpoint's content is not stored.",
  );
}

/** A checkpoint with the session's state as it is after everything sent so far. */
async function storedState({ context, incarnations, checkpointing }: NamedSession): Promise<CheckpointRecord> {
  const { record, stores } = context;
  const known = record.isDirty || record.recoveryId === null ? null : stores.checkpoints.find(record.recoveryId);
  if (known?.durable) return known;
  const link = await incarnations.ensure();
  context.touch();
  return checkpointing.take(link, "automatic", null);
}

/** Starts the interpreter of `target` with the copied state. @returns what could not be brought over. */
async function begin(source: NamedSession, target: NamedSession, copy: CheckpointRecord): Promise<Missing[]> {
  const { record, stores } = target.context;
  const { phase, environment, idleSeconds } = record;
  record.environment = source.context.record.environment;
  record.idleSeconds = source.context.record.idleSeconds;
  record.recoveryId = copy.id;
  record.recoveryOrdinal = stores.executions.lastOrdinal;
  record.isDirty = false;
  record.phase = "suspended";
  record.returning = { reason: "branch", lostExecutions: [] };
  target.context.touch();
  target.context.save();
  try {
    const link = await target.incarnations.ensure();
    const note = record.restored?.note;
    if (note?.checkpoint_id !== copy.id) throw unavailable("The state could not be loaded into the new session.");
    await target.env.copyFrom(source.env);
    target.env.tell(link);
    // The answer says what is missing, so the first execution need not.
    record.restored = null;
    target.context.save();
    return note.missing;
  } catch (error) {
    await target.incarnations.leave(phase, async () => true);
    Object.assign(record, { environment, idleSeconds, recoveryId: null, returning: null, restored: null });
    target.context.save();
    throw error;
  }
}
