/** Owns the blobs of one session on their way: checkpoints that the edge will fetch, and stored ones that it brought for a restore. */
import { rm } from "node:fs/promises";
import { join } from "node:path";
import type { CheckpointId } from "../../../src/protocol/identity.ts";
import type { CheckpointTaken, SessionContract } from "../../session/session-contract.ts";
import { type SpooledBlob, spoolBlob } from "./receive-blob.ts";

/** The edge fetches a blob at once, and brings one just before it is used: more than a few mean that it forgot them. */
const MAX_BLOBS = 4;

export class BlobShelf {
  readonly #session: SessionContract;
  readonly #spoolDir: string;
  readonly #taken = new Map<CheckpointId, CheckpointTaken>();
  readonly #brought = new Map<CheckpointId, SpooledBlob>();
  #isClosed = false;

  constructor(session: SessionContract, spoolDir: string) {
    this.#session = session;
    this.#spoolDir = spoolDir;
  }

  /** The blob of a checkpoint just taken. */
  find(id: CheckpointId): CheckpointTaken | undefined {
    return this.#taken.get(id);
  }

  keep(taken: CheckpointTaken): void {
    this.#taken.set(taken.checkpointId, taken);
    for (const id of this.#taken.keys()) {
      if (this.#taken.size <= MAX_BLOBS) break;
      this.forget(id);
    }
  }

  /** The edge has stored the blob; the snapshot stays. */
  forget(id: CheckpointId): void {
    if (this.#taken.delete(id)) this.#session.dropBlob(id);
  }

  /**
   * Puts a blob that the edge brings on the shelf.
   *
   * @throws SpoolError `too_large`, `checksum`.
   */
  async bring(id: CheckpointId, body: ReadableStream<Uint8Array>, sha256: string, maxBytes: number): Promise<void> {
    const path = join(this.#spoolDir, crypto.randomUUID());
    const blob = await spoolBlob(path, body, sha256, maxBytes);
    this.#discard(id);
    this.#brought.set(id, blob);
    // The session ended while the blob came.
    if (this.#isClosed) this.#discard(id);
    for (const oldest of this.#brought.keys()) {
      if (this.#brought.size <= MAX_BLOBS) break;
      this.#discard(oldest);
    }
  }

  /** Where the brought blob lies; whoever restores from it gives it back by `used`. */
  broughtPath(id: CheckpointId): string | undefined {
    return this.#brought.get(id)?.path;
  }

  used(id: CheckpointId): void {
    this.#discard(id);
  }

  /** Lets go of everything, for good. */
  close(): void {
    this.#isClosed = true;
    this.#taken.clear();
    for (const id of this.#brought.keys()) this.#discard(id);
  }

  #discard(id: CheckpointId): void {
    const blob = this.#brought.get(id);
    if (blob === undefined) return;
    this.#brought.delete(id);
    void rm(blob.path, { force: true });
  }
}
