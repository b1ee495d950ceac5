/** Owns how a session's state is saved and brought back: asks the runner, moves the blob between runner and store, keeps the recovery checkpoint. */

import { notFound, ProblemError } from "../../problem.ts";
import type { CheckpointId } from "../../protocol/identity.ts";
import type { Missing, RestoreOutcome } from "../../protocol/server-message.ts";
import type { RunnerLink } from "../runner/runner-link.ts";
import type { CheckpointKind, CheckpointRecord } from "../store/checkpoint-store.ts";
import type { Incarnation, SessionRecord } from "../store/session-table.ts";
import type { ClientStores } from "./client-stores.ts";

/** A checkpoint and a restore wait their turn behind what runs; this comes on top of that. */
const WORK_DEADLINE_MS = 120_000;

export interface CheckpointingHost {
  readonly parts: ClientStores;
  readonly record: SessionRecord;
  save(): void;
  /** Changes with everything that may change the interpreter's state. */
  changes(): number;
  /** Milliseconds that what runs and waits may still take. */
  queueMs(): number;
}

const unavailable = (detail: string) => new ProblemError({ code: "checkpoint_unavailable", detail });

export class Checkpointing {
  readonly #host: CheckpointingHost;

  constructor(host: CheckpointingHost) {
    this.#host = host;
  }

  /** Saves the state as it is once everything sent so far has run. A checkpoint that is not `durable` lives as long as its snapshot. */
  async take(link: RunnerLink, kind: CheckpointKind, name: string | null): Promise<CheckpointRecord> {
    const { parts, record } = this.#host;
    const incarnation = record.incarnation;
    if (incarnation === null) throw new ProblemError({ code: "runner_error", detail: "The interpreter is gone." });
    const id = `ck_${crypto.randomUUID().replaceAll("-", "")}` as CheckpointId;
    const ordinal = parts.executions.lastOrdinal;
    const changes = this.#host.changes();
    const taken = await link.ask({ type: "checkpoint", checkpoint_id: id }, WORK_DEADLINE_MS + this.#host.queueMs());
    if (taken.type !== "checkpoint_taken")
      throw new ProblemError({ code: "runner_error", detail: "No checkpoint came." });
    const unsigned = { id, session: record.name, size: taken.size, sha256: taken.sha256 };
    const checkpoint: CheckpointRecord = {
      ...unsigned,
      kind,
      name,
      createdAt: Date.now() / 1000,
      durable: false,
      skipped: taken.skipped,
      signature: await parts.checkpoints.sign(parts.owner, unsigned),
      incarnation: incarnation.key,
    };
    checkpoint.durable = await this.#store(incarnation, checkpoint);
    if (kind === "automatic" && !checkpoint.durable) {
      link.tell({ type: "drop_checkpoint", checkpoint_id: id });
      return checkpoint;
    }
    parts.checkpoints.save(checkpoint);
    if (checkpoint.durable && record.incarnation?.key === incarnation.key) {
      await this.#becomeRecovery(checkpoint, ordinal, this.#host.changes() !== changes);
    }
    // The edge's own checkpoints must not push the client's out of the snapshots' places.
    if (kind === "automatic") link.tell({ type: "drop_checkpoint", checkpoint_id: id });
    else if (checkpoint.durable) parts.ctx.waitUntil(quietly(parts.runnerCalls.forgetBlob(incarnation, id)));
    return checkpoint;
  }

  /** Goes back to a checkpoint: by its snapshot where that lives, else by its blob. */
  async restore(link: RunnerLink, id: CheckpointId, clearExisting: boolean): Promise<RestoreOutcome> {
    const { parts, record } = this.#host;
    const checkpoint = parts.checkpoints.find(id);
    const incarnation = record.incarnation;
    if (checkpoint === null || checkpoint.kind === "kept") throw notFound("checkpoint");
    if (incarnation === null) throw new ProblemError({ code: "runner_error", detail: "The interpreter is gone." });
    const ordinal = parts.executions.lastOrdinal;
    const changes = this.#host.changes();
    const answer =
      (checkpoint.incarnation === incarnation.key ? await this.#ask(link, id, clearExisting, false) : null) ??
      (await this.#restoreBlob(link, incarnation, checkpoint, clearExisting));
    if (record.incarnation?.key === incarnation.key) {
      const isSame = clearExisting && checkpoint.durable;
      if (isSame) await this.#becomeRecovery(checkpoint, ordinal, this.#host.changes() !== changes);
      else this.#noteDirty();
    }
    const missing = mergeMissing(answer.source === "stored" ? checkpoint.skipped : [], answer.missing);
    return { status: "restored", checkpoint_id: id, source: answer.source, missing };
  }

  /**
   * Brings a new interpreter to the recovery checkpoint.
   *
   * @returns what could not be brought back; null where there is nothing to go back to.
   * @throws ProblemError `checkpoint_unavailable`.
   */
  async recover(link: RunnerLink, incarnation: Incarnation): Promise<{ id: CheckpointId; missing: Missing[] } | null> {
    const { parts, record } = this.#host;
    if (record.recoveryId === null) return null;
    const checkpoint = parts.checkpoints.find(record.recoveryId);
    if (checkpoint === null) throw unavailable("The checkpoint of the suspended session is gone.");
    const { missing } = await this.#restoreBlob(link, incarnation, checkpoint, true);
    return { id: checkpoint.id, missing: mergeMissing(checkpoint.skipped, missing) };
  }

  /** Forgets a checkpoint for its client; the one that alone can bring the session back stays until there is another. */
  async delete(checkpoint: CheckpointRecord, link: RunnerLink | null): Promise<void> {
    const { parts, record } = this.#host;
    link?.tell({ type: "drop_checkpoint", checkpoint_id: checkpoint.id });
    if (record.recoveryId === checkpoint.id) parts.checkpoints.save({ ...checkpoint, kind: "kept", name: null });
    else await parts.checkpoints.delete(checkpoint);
  }

  /** After a reset there is nothing to go back to by itself. */
  async forgetRecovery(isDirty: boolean): Promise<void> {
    const { parts, record } = this.#host;
    const former = record.recoveryId;
    record.recoveryId = null;
    record.recoveryOrdinal = parts.executions.lastOrdinal;
    record.isDirty = isDirty;
    this.#host.save();
    await this.#dropFormer(former);
  }

  #noteDirty(): void {
    this.#host.record.isDirty = true;
    this.#host.save();
  }

  async #becomeRecovery(checkpoint: CheckpointRecord, ordinal: number, isDirty: boolean): Promise<void> {
    const { record } = this.#host;
    const former = record.recoveryId;
    record.recoveryId = checkpoint.id;
    record.recoveryOrdinal = ordinal;
    record.isDirty = isDirty;
    this.#host.save();
    if (former !== checkpoint.id) await this.#dropFormer(former);
  }

  async #dropFormer(id: CheckpointId | null): Promise<void> {
    const former = id === null ? null : this.#host.parts.checkpoints.find(id);
    if (former !== null && former.kind !== "asked") await quietly(this.#host.parts.checkpoints.delete(former));
  }

  async #store(incarnation: Incarnation, checkpoint: CheckpointRecord): Promise<boolean> {
    const { parts } = this.#host;
    if (checkpoint.size > parts.settings.CHECKPOINT_MAX_BYTES) return false;
    try {
      await parts.runnerCalls.takeBlob(incarnation, checkpoint.id, (blob) =>
        parts.checkpoints.putBlob(parts.owner, checkpoint, blob),
      );
      return true;
    } catch (error) {
      console.error("a checkpoint could not be stored", error instanceof Error ? error.message : "");
      return false;
    }
  }

  async #restoreBlob(
    link: RunnerLink,
    incarnation: Incarnation,
    checkpoint: CheckpointRecord,
    clearExisting: boolean,
  ): Promise<{ source: "snapshot" | "stored"; missing: Missing[] }> {
    const { parts } = this.#host;
    const body = checkpoint.durable ? await parts.checkpoints.getBlob(parts.owner, checkpoint) : null;
    if (body === null) throw unavailable("The checkpoint's content is gone or not what was saved.");
    const { size, sha256 } = checkpoint;
    const isTaken = await parts.runnerCalls.putBlob(incarnation, checkpoint.id, { body, size, sha256 });
    if (!isTaken) throw unavailable("The checkpoint's content is not what was saved.");
    const answer = await this.#ask(link, checkpoint.id, clearExisting, true);
    if (answer === null) throw unavailable("The runner has no use for the checkpoint's content.");
    return answer;
  }

  /** @returns null where the runner needs the blob. */
  async #ask(link: RunnerLink, id: CheckpointId, clearExisting: boolean, blob: boolean) {
    const answer = await link.ask(
      { type: "restore", checkpoint_id: id, clear_existing: clearExisting, blob },
      WORK_DEADLINE_MS + this.#host.queueMs(),
    );
    if (answer.type === "restored") return { source: answer.source, missing: answer.missing };
    if (answer.type === "blob_required") return null;
    throw new ProblemError({ code: "runner_error", detail: "The runner did not restore." });
  }
}

function mergeMissing(...lists: Missing[][]): Missing[] {
  const byName = new Map<string, Missing>();
  for (const one of lists.flat()) byName.set(one.name, one);
  return [...byName.values()];
}

/** For cleaning up: what stays behind is deleted with the session. */
async function quietly(work: Promise<unknown>): Promise<void> {
  try {
    await work;
  } catch (error) {
    console.warn("cleaning up failed", error instanceof Error ? error.message : "");
  }
}
