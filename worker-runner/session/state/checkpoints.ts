/** Owns a session's checkpoints: freezing a state, writing it in the background, and restoring it. */
import type { CheckpointId } from "../../../src/protocol/identity.ts";
import type { Missing } from "../../../src/protocol/server-message.ts";
import type { Snapshot } from "../../interpreter/snapshot.ts";
import type { CheckpointTaken } from "../session-contract.ts";
import { SessionError } from "../session-error.ts";
import type { SessionSettings } from "../session-options.ts";
import { Blob, type BlobFiles } from "./blob-files.ts";
import type { BlobFile } from "./blob-writer.ts";
import type { Place } from "./history.ts";
import type { Recovery } from "./recovery.ts";
import type { Snapshots } from "./snapshots.ts";

/** Above this share of the memory limit, copies that only a checkpoint needs are ended. */
const MEMORY_SHARE = 0.75;

/** The state between two executions, frozen for a checkpoint. */
export interface Frozen {
  snapshot: Snapshot;
  place: Place;
  pause: number;
}

export interface Restored {
  source: "snapshot" | "stored";
  missing: Missing[];
}

export class Checkpoints {
  readonly #settings: SessionSettings;
  readonly #snapshots: Snapshots;
  readonly #recovery: Recovery;
  readonly #files: BlobFiles;
  readonly #blobs = new Map<CheckpointId, Blob>();
  readonly #writing = new Map<CheckpointId, Promise<CheckpointTaken>>();

  constructor(settings: SessionSettings, snapshots: Snapshots, recovery: Recovery, files: BlobFiles) {
    this.#settings = settings;
    this.#snapshots = snapshots;
    this.#recovery = recovery;
    this.#files = files;
  }

  /** Freezes the present state. Call it in the session's turn. @throws SessionError `checkpoint_failed`. */
  async freeze(checkpointId: CheckpointId): Promise<Frozen> {
    while (this.#writing.size >= Math.max(1, this.#settings.maxSnapshots - 1)) await this.#oneWritten();
    const place = this.#recovery.place;
    const { snapshot, isNew } = await this.#recovery.copyNow();
    this.#snapshots.pin(snapshot);
    this.#snapshots.keep(checkpointId, snapshot);
    await this.#easeMemory();
    return { snapshot, place, pause: isNew ? snapshot.pause : 0 };
  }

  /** Writes the frozen copy to a blob while the session goes on. @throws SessionError `checkpoint_failed`. */
  write(checkpointId: CheckpointId, frozen: Frozen): Promise<CheckpointTaken> {
    const writing = this.#write(checkpointId, frozen).finally(() => this.#writing.delete(checkpointId));
    this.#writing.set(checkpointId, writing);
    return writing;
  }

  /**
   * Restores a checkpoint's state. Call it in the session's turn. If it fails, the session's state is as before.
   *
   * @param foreignPath a blob file of the caller's, used if the checkpoint's snapshot is gone.
   * @throws SessionError `checkpoint_unavailable`, `checkpoint_invalid`, `checkpoint_failed`.
   */
  async restore(checkpointId: CheckpointId, isClearing: boolean, foreignPath: string | null): Promise<Restored> {
    const snapshot = isClearing ? this.#snapshots.use(checkpointId) : null;
    if (snapshot && (await this.#goBackTo(checkpointId, snapshot))) return { source: "snapshot", missing: [] };
    const blob = foreignPath ? await this.#files.adopt(foreignPath) : await this.#ownBlob(checkpointId);
    if (!blob) throw new SessionError("checkpoint_unavailable", "the checkpoint has neither a snapshot nor a blob");
    const loading = {};
    blob.hold(loading);
    try {
      return { source: "stored", missing: await this.#restoreBlob(checkpointId, blob, isClearing) };
    } finally {
      blob.release(loading);
    }
  }

  async #restoreBlob(checkpointId: CheckpointId, blob: Blob, isClearing: boolean): Promise<Missing[]> {
    await this.#recovery.ensurePoint();
    const missing = await this.#load(blob.path, isClearing);
    if (!isClearing) {
      this.#recovery.noteChange(null);
      return missing;
    }
    if (this.#blobs.get(checkpointId) !== blob) this.#keepBlob(checkpointId, blob);
    await this.#recovery.noteLoaded({ checkpointId, blob });
    if (this.#snapshots.recovery) this.#snapshots.keep(checkpointId, this.#snapshots.recovery);
    return missing;
  }

  drop(checkpointId: CheckpointId): void {
    this.#snapshots.forget(checkpointId);
    this.#recovery.dropBase(checkpointId);
    this.dropBlob(checkpointId);
    this.#blobs.delete(checkpointId);
  }

  /** The blob is stored elsewhere. Its file is removed as soon as recovery does not need it either. */
  dropBlob(checkpointId: CheckpointId): void {
    this.#blobs.get(checkpointId)?.release(this);
  }

  /** Resolves when nothing is being written any more. */
  async settle(): Promise<void> {
    await Promise.allSettled(this.#writing.values());
  }

  async #write(checkpointId: CheckpointId, { snapshot, place, pause }: Frozen): Promise<CheckpointTaken> {
    const { checkpointMaxBytes, checkpointMaxWorkspaceBytes, metrics } = this.#settings;
    const startedAt = performance.now();
    const writer = await this.#files.begin(checkpointMaxBytes);
    let file: BlobFile;
    let skipped: Missing[];
    let packages: readonly string[];
    try {
      const answer = await this.#recovery.interpreter.serialize(snapshot, (piece) => writer.write(piece), {
        maxBlobBytes: checkpointMaxBytes,
        maxWorkspaceBytes: checkpointMaxWorkspaceBytes,
      });
      if (answer.type === "serialize_failed") throw new Error(answer.detail);
      skipped = answer.skipped;
      packages = answer.packages;
      file = await writer.finish();
      if (file.sha256 !== answer.sha256) throw new Error("the blob does not match the interpreter's checksum");
    } catch (cause) {
      await writer.discard();
      this.#snapshots.forget(checkpointId);
      throw new SessionError("checkpoint_failed", `the state could not be saved: ${(cause as Error).message}`, {
        cause,
      });
    } finally {
      this.#snapshots.unpin(snapshot);
    }
    const { path, size, sha256, pieces } = file;
    const blob = new Blob(path);
    this.#keepBlob(checkpointId, blob);
    this.#recovery.setBase(place, { checkpointId, blob });
    metrics.checkpointTaken?.(size, pause, (performance.now() - startedAt) / 1000);
    return { checkpointId, blobPath: path, size, sha256, pieces, skipped, packages, pause };
  }

  async #goBackTo(checkpointId: CheckpointId, snapshot: Snapshot): Promise<boolean> {
    try {
      await this.#recovery.interpreter.respawn(snapshot);
    } catch {
      await this.#recovery.bringBack();
      return false;
    }
    this.#snapshots.setRecovery(snapshot);
    const blob = this.#blobs.get(checkpointId);
    this.#recovery.noteRestored(blob?.isRemoved === false ? { checkpointId, blob } : null);
    return true;
  }

  async #load(path: string, isClearing: boolean): Promise<Missing[]> {
    const { interpreter } = this.#recovery;
    try {
      if (isClearing) await interpreter.respawn(null);
      const deadlineMs = this.#settings.interpreter.loadDeadlineMs + interpreter.installations.restoreMs;
      const answer = await interpreter.live?.load(path, isClearing, deadlineMs);
      if (answer?.type === "loaded") {
        interpreter.installations.packages = answer.packages;
        return answer.missing;
      }
      throw new SessionError(
        "checkpoint_invalid",
        answer ? `${answer.code}: ${answer.detail}` : "the interpreter ended",
      );
    } catch (error) {
      await this.#recovery.bringBack();
      if (error instanceof SessionError) throw error;
      throw new SessionError("checkpoint_invalid", (error as Error).message, { cause: error });
    }
  }

  /** A blob that this session still has, or is writing. */
  async #ownBlob(checkpointId: CheckpointId): Promise<Blob | null> {
    await this.#writing.get(checkpointId);
    const blob = this.#blobs.get(checkpointId);
    return blob?.isRemoved === false ? blob : null;
  }

  #keepBlob(checkpointId: CheckpointId, blob: Blob): void {
    blob.hold(this);
    this.dropBlob(checkpointId);
    this.#blobs.set(checkpointId, blob);
  }

  async #oneWritten(): Promise<void> {
    await Promise.race([...this.#writing.values()].map((writing) => writing.catch(() => undefined)));
  }

  async #easeMemory(): Promise<void> {
    const { interpreter } = this.#recovery;
    for (;;) {
      const { residentBytes, limitBytes } = await interpreter.memoryStatus();
      if (residentBytes === null || limitBytes === null || residentBytes < MEMORY_SHARE * limitBytes) return;
      if (!this.#snapshots.evictOne()) return;
      await interpreter.copies.count();
    }
  }
}
