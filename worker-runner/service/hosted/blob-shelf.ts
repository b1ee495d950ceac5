/** Owns the blobs of one session in transit: new checkpoints for the edge to fetch, and stored checkpoints that the edge sent for a restore. */
import { rm } from "node:fs/promises";
import { join } from "node:path";
import type { CheckpointId } from "../../../src/protocol/identity.ts";
import type { CheckpointTaken, SessionContract } from "../../session/session-contract.ts";
import { receiveBlob } from "./receive-blob.ts";

/** The edge fetches a blob at once, and sends one just before it is used. If there are more, it has forgotten the oldest. */
const MAX_BLOBS = 4;

export class BlobShelf {
  readonly #session: SessionContract;
  readonly #directory: string;
  readonly #taken = new Map<CheckpointId, CheckpointTaken>();
  /** Paths of the blobs that the edge sent. */
  readonly #received = new Map<CheckpointId, string>();
  #isClosed = false;

  constructor(session: SessionContract, directory: string) {
    this.#session = session;
    this.#directory = directory;
  }

  /** A new checkpoint whose blob the edge has not stored yet. */
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

  /** The edge has stored the blob. The snapshot stays. */
  forget(id: CheckpointId): void {
    if (this.#taken.delete(id)) this.#session.dropBlob(id);
  }

  /**
   * Keeps a blob that the edge sends.
   *
   * @throws BlobRefused `too_large`, `checksum`.
   */
  async receive(id: CheckpointId, body: ReadableStream<Uint8Array>, sha256: string, maxBytes: number): Promise<void> {
    const path = join(this.#directory, crypto.randomUUID());
    await receiveBlob(path, body, sha256, maxBytes);
    this.discard(id);
    this.#received.set(id, path);
    // The session ended while the blob arrived.
    if (this.#isClosed) this.discard(id);
    for (const oldest of this.#received.keys()) {
      if (this.#received.size <= MAX_BLOBS) break;
      this.discard(oldest);
    }
  }

  /** The file of a blob that the edge sent. Call `discard` after the restore. */
  receivedPath(id: CheckpointId): string | undefined {
    return this.#received.get(id);
  }

  /** Removes every blob. Later ones are removed on arrival. */
  close(): void {
    this.#isClosed = true;
    this.#taken.clear();
    for (const id of this.#received.keys()) this.discard(id);
  }

  /** Removes a blob that the edge sent. */
  discard(id: CheckpointId): void {
    const path = this.#received.get(id);
    if (path === undefined) return;
    this.#received.delete(id);
    // The directory is removed when the runner stops, and a file that stays until then does no harm.
    rm(path, { force: true }).catch(() => undefined);
  }
}
