/** Owns how a session's state is saved and restored: asks the runner, moves the blob between runner and store, keeps the recovery checkpoint. */

import { logLine } from "../../log.ts";
import { ProblemError } from "../../problem.ts";
import type { CheckpointId } from "../../protocol/identity.ts";
import type { BlobPiece } from "../../protocol/link.ts";
import type { Missing, RestoreOutcome } from "../../protocol/server-message.ts";
import type { RunnerLink } from "../runner/runner-link.ts";
import { type CheckpointKind, type CheckpointRecord, isListed, newCheckpointId } from "../store/checkpoint-store.ts";
import type { StorePlan } from "../store/piece-store.ts";
import type { Incarnation } from "../store/session-table.ts";
import type { SessionContext } from "./session-context.ts";

/** For the work itself. Checkpoints and restores also wait for the executions before them. */
const WORK_DEADLINE_MS = 120_000;

const unavailable = (detail: string) => new ProblemError({ code: "checkpoint_unavailable", detail });

export class Checkpointing {
  readonly #context: SessionContext;

  constructor(context: SessionContext) {
    this.#context = context;
  }

  /** Saves the state that results from everything sent so far. A checkpoint that is not `durable` lives as long as its snapshot. */
  async take(link: RunnerLink, kind: CheckpointKind, name: string | null): Promise<CheckpointRecord> {
    const { stores, record } = this.#context;
    const incarnation = record.incarnation;
    if (incarnation === null) throw new ProblemError({ code: "runner_error", detail: "The interpreter has ended." });
    if (kind === "asked") stores.storage.admitOne();
    const id = newCheckpointId();
    const ordinal = this.#context.sentOrdinal;
    const changes = this.#context.changes;
    const taken = await link.ask({ type: "checkpoint", checkpoint_id: id }, WORK_DEADLINE_MS + this.#context.queueMs);
    if (taken.type !== "checkpoint_taken")
      throw new ProblemError({ code: "runner_error", detail: "The runner did not make a checkpoint." });
    const unsigned = { id, session: record.name, size: taken.size, sha256: taken.sha256 };
    const checkpoint: CheckpointRecord = {
      ...unsigned,
      kind,
      name,
      createdAt: Date.now() / 1000,
      durable: false,
      skipped: taken.skipped,
      signature: await stores.checkpoints.sign(stores.owner, unsigned),
      incarnation: incarnation.key,
    };
    record.packages = taken.packages;
    const pieces = taken.pieces.map(([sha256, size]) => ({ sha256, size }));
    try {
      checkpoint.durable = await this.#store(incarnation, checkpoint, pieces);
    } catch (error) {
      link.tell({ type: "drop_checkpoint", checkpoint_id: id });
      throw error;
    }
    if (kind === "automatic" && !checkpoint.durable) {
      link.tell({ type: "drop_checkpoint", checkpoint_id: id });
      return checkpoint;
    }
    stores.checkpoints.save(checkpoint);
    if (checkpoint.durable && record.incarnation?.key === incarnation.key) {
      await this.#becomeRecovery(checkpoint, ordinal, this.#context.changes !== changes);
    }
    // The runner keeps few snapshots. An automatic one must not displace a snapshot that the client asked for.
    if (kind === "automatic") link.tell({ type: "drop_checkpoint", checkpoint_id: id });
    else if (checkpoint.durable) stores.ctx.waitUntil(quietly(stores.runnerCalls.forgetBlob(incarnation, id)));
    return checkpoint;
  }

  /** Restores a checkpoint: from its snapshot if the runner still has that, else from its blob. @throws ProblemError `not_found`. */
  async restore(link: RunnerLink, id: CheckpointId, clearExisting: boolean): Promise<RestoreOutcome> {
    const { stores, record } = this.#context;
    const checkpoint = stores.checkpoints.visible(id);
    const incarnation = record.incarnation;
    if (incarnation === null) throw new ProblemError({ code: "runner_error", detail: "The interpreter has ended." });
    const ordinal = this.#context.sentOrdinal;
    const changes = this.#context.changes;
    const answer =
      (checkpoint.incarnation === incarnation.key ? await this.#ask(link, id, clearExisting, false) : null) ??
      (await this.#restoreBlob(link, incarnation, checkpoint, clearExisting));
    if (record.incarnation?.key === incarnation.key) {
      const isSame = clearExisting && checkpoint.durable;
      if (isSame) await this.#becomeRecovery(checkpoint, ordinal, this.#context.changes !== changes);
      else this.#noteDirty();
    }
    const missing = mergeMissing(answer.source === "stored" ? checkpoint.skipped : [], answer.missing);
    return { status: "restored", checkpoint_id: id, source: answer.source, missing };
  }

  /**
   * Brings a new interpreter to the recovery checkpoint.
   *
   * @returns what could not be restored; null if there is no recovery checkpoint.
   * @throws ProblemError `checkpoint_unavailable`.
   */
  async recover(link: RunnerLink, incarnation: Incarnation): Promise<{ id: CheckpointId; missing: Missing[] } | null> {
    const { stores, record } = this.#context;
    if (record.recoveryId === null) return null;
    const checkpoint = stores.checkpoints.find(record.recoveryId);
    if (checkpoint === null) throw unavailable("The checkpoint of the suspended session is gone.");
    const { missing } = await this.#restoreBlob(link, incarnation, checkpoint, true);
    return { id: checkpoint.id, missing: mergeMissing(checkpoint.skipped, missing) };
  }

  /** Deletes a checkpoint for its client. The recovery checkpoint itself is kept, hidden, until there is a newer one. */
  async delete(checkpoint: CheckpointRecord, link: RunnerLink | null): Promise<void> {
    const { stores, record } = this.#context;
    link?.tell({ type: "drop_checkpoint", checkpoint_id: checkpoint.id });
    if (record.recoveryId === checkpoint.id) stores.checkpoints.save({ ...checkpoint, kind: "kept", name: null });
    else await stores.checkpoints.delete(checkpoint);
    stores.inBackground(stores.storage.settle());
  }

  /** Forgets the recovery checkpoint: after a reset, a lost interpreter is followed by a fresh one. */
  async forgetRecovery(isDirty: boolean): Promise<void> {
    const { record } = this.#context;
    const former = record.recoveryId;
    record.recoveryId = null;
    record.recoveryOrdinal = this.#context.sentOrdinal;
    record.saveFailure = undefined;
    record.isDirty = isDirty;
    this.#context.save();
    await this.#dropFormer(former);
  }

  #noteDirty(): void {
    this.#context.record.isDirty = true;
    this.#context.save();
  }

  async #becomeRecovery(checkpoint: CheckpointRecord, ordinal: number, isDirty: boolean): Promise<void> {
    const { record } = this.#context;
    const former = record.recoveryId;
    record.recoveryId = checkpoint.id;
    record.recoveryOrdinal = ordinal;
    record.isDirty = isDirty;
    this.#context.save();
    if (former !== checkpoint.id) await this.#dropFormer(former);
  }

  async #dropFormer(id: CheckpointId | null): Promise<void> {
    const former = id === null ? null : this.#context.stores.checkpoints.find(id);
    if (former === null || isListed(former)) return;
    await quietly(this.#context.stores.checkpoints.delete(former));
    this.#context.stores.inBackground(this.#context.stores.storage.settle());
  }

  /** The bytes that the store frees once there is a newer recovery checkpoint. */
  get #replacedBytes(): number {
    const { record, stores } = this.#context;
    const former = record.recoveryId === null ? null : stores.checkpoints.find(record.recoveryId);
    return former === null || isListed(former) || !former.durable ? 0 : former.size;
  }

  /** Stores the content of a checkpoint. @returns false if that failed. @throws ProblemError `storage_full`. */
  async #store(incarnation: Incarnation, checkpoint: CheckpointRecord, pieces: BlobPiece[]): Promise<boolean> {
    const { stores } = this.#context;
    if (checkpoint.size > stores.settings.CHECKPOINT_MAX_BYTES) return false;
    let plan: StorePlan | null = null;
    try {
      plan = stores.checkpoints.plan(checkpoint, pieces);
      const { parts, keep } = plan;
      await stores.storage.within(checkpoint.size, this.#replacedBytes, isListed(checkpoint), async () => {
        for (const { wanted, store } of parts) {
          await stores.runnerCalls.takePieces(incarnation, checkpoint.id, wanted, store);
        }
        keep();
      });
      return true;
    } catch (error) {
      if (error instanceof ProblemError) throw error;
      logLine("warn", "a checkpoint could not be stored", { error });
      return false;
    } finally {
      plan?.release();
      stores.inBackground(stores.checkpoints.collect());
    }
  }

  async #restoreBlob(
    link: RunnerLink,
    incarnation: Incarnation,
    checkpoint: CheckpointRecord,
    clearExisting: boolean,
  ): Promise<{ source: "snapshot" | "stored"; missing: Missing[] }> {
    const { stores } = this.#context;
    const body = checkpoint.durable ? await stores.checkpoints.getBlob(stores.owner, checkpoint) : null;
    if (body === null) throw unavailable("The checkpoint's content is gone or not what was saved.");
    const { size, sha256 } = checkpoint;
    const isTaken = await stores.runnerCalls.putBlob(incarnation, checkpoint.id, { body, size, sha256 });
    if (!isTaken) throw unavailable("The checkpoint's content is not what was saved.");
    const answer = await this.#ask(link, checkpoint.id, clearExisting, true);
    if (answer === null) throw unavailable("The runner did not accept the checkpoint's content.");
    return answer;
  }

  /** @returns null if the runner needs the blob. */
  async #ask(link: RunnerLink, id: CheckpointId, clearExisting: boolean, blob: boolean) {
    const answer = await link.ask(
      { type: "restore", checkpoint_id: id, clear_existing: clearExisting, blob },
      WORK_DEADLINE_MS + this.#context.queueMs,
    );
    if (answer.type === "restored") return { source: answer.source, missing: answer.missing };
    if (answer.type === "blob_required") return null;
    throw new ProblemError({ code: "runner_error", detail: "The runner did not restore the checkpoint." });
  }
}

/** Each name once, as the last list has it. */
export function mergeMissing(...lists: Missing[][]): Missing[] {
  const byName = new Map<string, Missing>();
  for (const one of lists.flat()) byName.set(one.name, one);
  return [...byName.values()];
}

/** For cleaning up: whatever could not be deleted goes with the session. */
async function quietly(work: Promise<unknown>): Promise<void> {
  try {
    await work;
  } catch (error) {
    logLine("warn", "cleaning up failed", { error });
  }
}
