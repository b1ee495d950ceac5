/** Owns a session's checkpoints: freezing one, having it written in the background, and putting the session back to it. */
import type { CheckpointId } from "../../../src/protocol/identity.ts";
import type { Missing } from "../../../src/protocol/server-message.ts";
import type { Snapshot } from "../../interpreter/snapshot.ts";
import type { CheckpointTaken } from "../session-contract.ts";
import { SessionError } from "../session-error.ts";
import type { SessionSettings } from "../session-options.ts";
import type { BlobSpool, SpooledBlob } from "./blob-files.ts";
import type { Place } from "./history.ts";
import type { Recovery } from "./recovery.ts";
import type { Snapshots } from "./snapshots.ts";

/** Copies for checkpoints go when the sandbox is fuller than this. */
const MEMORY_SHARE = 0.75;

/** A state of rest, frozen for a checkpoint. */
export interface Frozen {
  snapshot: Snapshot;
  place: Place;
  pause: number;
}

export interface Restored {
  source: "snapshot" | "stored";
  missing: Missing[];
}

export interface CheckpointDuties {
  recovery: Recovery;
  snapshots: Snapshots;
  spool: BlobSpool;
  settings: SessionSettings;
}

export class Checkpoints {
  readonly #duties: CheckpointDuties;
  readonly #blobPaths = new Map<CheckpointId, string>();
  /** Blobs that nobody but crash recovery needs. */
  readonly #released = new Set<CheckpointId>();
  readonly #writing = new Map<CheckpointId, Promise<CheckpointTaken>>();

  constructor(duties: CheckpointDuties) {
    this.#duties = duties;
  }

  /** Freezes the state of rest. Needs the session's turn. @throws SessionError `checkpoint_failed`. */
  async freeze(checkpointId: CheckpointId): Promise<Frozen> {
    const { recovery, snapshots, settings } = this.#duties;
    while (this.#writing.size >= Math.max(1, settings.maxSnapshots - 1)) await this.#oneWritten();
    const place = recovery.place;
    const { snapshot, isNew } = await recovery.copyNow();
    snapshots.pin(snapshot);
    snapshots.keep(checkpointId, snapshot);
    await this.#easeMemory();
    return { snapshot, place, pause: isNew ? snapshot.pause : 0 };
  }

  /** Has the frozen copy written; the session goes on meanwhile. @throws SessionError `checkpoint_failed`. */
  write(checkpointId: CheckpointId, frozen: Frozen): Promise<CheckpointTaken> {
    const writing = this.#write(checkpointId, frozen).finally(() => this.#writing.delete(checkpointId));
    this.#writing.set(checkpointId, writing);
    return writing;
  }

  /**
   * Needs the session's turn. Where it fails the session is as before.
   *
   * @throws SessionError `checkpoint_unavailable`, `checkpoint_invalid`, `checkpoint_failed`.
   */
  async restore(checkpointId: CheckpointId, isClearing: boolean, foreignPath: string | null): Promise<Restored> {
    const { recovery, snapshots } = this.#duties;
    const snapshot = isClearing ? snapshots.use(checkpointId) : null;
    if (snapshot && (await this.#goBackTo(checkpointId, snapshot))) return { source: "snapshot", missing: [] };
    const path = foreignPath ?? (await this.#ownBlob(checkpointId));
    if (!path)
      throw new SessionError("checkpoint_unavailable", "neither a snapshot nor a blob of the checkpoint is there");
    await recovery.ensurePoint();
    const missing = await this.#load(path, isClearing);
    if (!isClearing) {
      recovery.noteChange(null);
      return { source: "stored", missing };
    }
    if (foreignPath) await this.#adopt(checkpointId, foreignPath);
    await recovery.noteLoaded({ checkpointId, blobPath: this.#blobPaths.get(checkpointId) ?? path });
    if (snapshots.recovery) snapshots.keep(checkpointId, snapshots.recovery);
    return { source: "stored", missing };
  }

  drop(checkpointId: CheckpointId): void {
    const { recovery, snapshots } = this.#duties;
    snapshots.forget(checkpointId);
    recovery.dropBase(checkpointId);
    this.#released.delete(checkpointId);
    this.#removeBlob(checkpointId);
  }

  /** The blob is stored elsewhere; its file goes as soon as a crash would not be recovered from it. */
  dropBlob(checkpointId: CheckpointId): void {
    this.#released.add(checkpointId);
    this.#removeReleased();
  }

  /** Resolves when nothing is being written any more. */
  async settle(): Promise<void> {
    await Promise.allSettled(this.#writing.values());
  }

  async #write(checkpointId: CheckpointId, { snapshot, place, pause }: Frozen): Promise<CheckpointTaken> {
    const { recovery, snapshots, spool, settings } = this.#duties;
    const startedAt = performance.now();
    const writer = await spool.begin();
    let blob: SpooledBlob;
    let skipped: Missing[];
    try {
      const answer = await recovery.interpreter.serialize(snapshot, (piece) => writer.write(piece), {
        maxBlobBytes: settings.checkpointMaxBytes,
        maxWorkspaceBytes: settings.checkpointMaxWorkspaceBytes,
      });
      if (answer.type === "serialize_failed") throw new Error(answer.detail);
      skipped = answer.skipped;
      blob = await writer.finish();
      if (blob.sha256 !== answer.sha256) throw new Error("the blob is not what the interpreter wrote");
    } catch (cause) {
      await writer.discard();
      snapshots.forget(checkpointId);
      throw new SessionError("checkpoint_failed", `the state could not be saved: ${(cause as Error).message}`, {
        cause,
      });
    } finally {
      snapshots.unpin(snapshot);
    }
    this.#blobPaths.set(checkpointId, blob.path);
    recovery.setBase(place, { checkpointId, blobPath: blob.path });
    this.#removeReleased();
    settings.metrics.checkpointTaken?.(blob.size, pause, (performance.now() - startedAt) / 1000);
    return { checkpointId, blobPath: blob.path, size: blob.size, sha256: blob.sha256, skipped, pause };
  }

  async #goBackTo(checkpointId: CheckpointId, snapshot: Snapshot): Promise<boolean> {
    const { recovery, snapshots } = this.#duties;
    const blobPath = this.#blobPaths.get(checkpointId);
    try {
      await recovery.interpreter.respawn(snapshot);
    } catch {
      await recovery.bringBack();
      return false;
    }
    snapshots.setRecovery(snapshot);
    recovery.noteRestored(blobPath ? { checkpointId, blobPath } : null);
    return true;
  }

  async #load(path: string, isClearing: boolean): Promise<Missing[]> {
    const { recovery, settings } = this.#duties;
    try {
      if (isClearing) await recovery.interpreter.respawn(null);
      const answer = await recovery.interpreter.live?.load(path, isClearing, settings.interpreter.loadDeadlineMs);
      if (answer?.type === "loaded") return answer.missing;
      throw new SessionError(
        "checkpoint_invalid",
        answer ? `${answer.code}: ${answer.detail}` : "the interpreter ended",
      );
    } catch (error) {
      await recovery.bringBack();
      if (error instanceof SessionError) throw error;
      throw new SessionError("checkpoint_invalid", (error as Error).message, { cause: error });
    }
  }

  async #ownBlob(checkpointId: CheckpointId): Promise<string | null> {
    const writing = this.#writing.get(checkpointId);
    if (writing) return (await writing).blobPath;
    return this.#blobPaths.get(checkpointId) ?? null;
  }

  /** Keeps a copy of a blob that somebody else holds: the session may have to come back to it after a crash. */
  async #adopt(checkpointId: CheckpointId, path: string): Promise<void> {
    const before = this.#blobPaths.get(checkpointId);
    this.#blobPaths.set(checkpointId, await this.#duties.spool.adopt(path));
    if (before) await this.#duties.spool.remove(before);
  }

  #removeReleased(): void {
    for (const checkpointId of this.#released) {
      if (this.#duties.recovery.baseId === checkpointId) continue;
      this.#released.delete(checkpointId);
      this.#removeBlob(checkpointId);
    }
  }

  #removeBlob(checkpointId: CheckpointId): void {
    const path = this.#blobPaths.get(checkpointId);
    this.#blobPaths.delete(checkpointId);
    if (path) void this.#duties.spool.remove(path);
  }

  async #oneWritten(): Promise<void> {
    await Promise.race([...this.#writing.values()].map((writing) => writing.catch(() => undefined)));
  }

  async #easeMemory(): Promise<void> {
    const { recovery, snapshots } = this.#duties;
    for (;;) {
      const { residentBytes, limitBytes } = await recovery.interpreter.memoryStatus();
      if (residentBytes === null || limitBytes === null || residentBytes < MEMORY_SHARE * limitBytes) return;
      if (!snapshots.evictOne()) return;
      await recovery.interpreter.countSnapshots();
    }
  }
}
