/** Owns how many bytes a client may store. The limit of its tenant is checked with the tenant's ledger. */

import type { Bindings, Settings } from "../../env.ts";
import { ProblemError } from "../../problem.ts";
import { reportStored } from "../../tenant/tenant-report.ts";
import type { CheckpointStore } from "../store/checkpoint-store.ts";

export interface StorageQuotaOptions {
  env: Bindings;
  settings: Settings;
  object: string;
  tenant: () => string;
  checkpoints: CheckpointStore;
  /** The recovery checkpoints of sessions that have an interpreter, which has their state as well. */
  spareable: () => ReadonlySet<string>;
}

const full = (detail: string) => new ProblemError({ code: "storage_full", detail });

export class StorageQuota {
  readonly #options: StorageQuotaOptions;
  /** Bytes of blobs that are being stored now. */
  #arrivingBytes = 0;
  #toldBytes: number | null = null;

  constructor(options: StorageQuotaOptions) {
    this.#options = options;
  }

  /** Whether one more checkpoint that the client asks for has its place. @throws ProblemError `storage_full`. */
  admitOne(): void {
    const { checkpoints, settings } = this.#options;
    const max = settings.MAX_CHECKPOINTS_PER_CLIENT;
    if (checkpoints.countAsked() >= max) throw full(`A client has at most ${max} checkpoints; delete one first.`);
  }

  /**
   * Runs `store`, which stores a blob of this size, if it has its place. For a checkpoint that a client asks for, the oldest automatic
   * ones of its sessions with an interpreter make room.
   *
   * @param replacedBytes what the store has less as soon as the blob is stored.
   * @throws ProblemError (as a rejection) `storage_full`.
   */
  async within<T>(bytes: number, replacedBytes: number, isAsked: boolean, store: () => Promise<T>): Promise<T> {
    const { checkpoints, settings } = this.#options;
    const max = settings.MAX_STORED_BYTES_PER_CLIENT;
    const wanted = () => checkpoints.storedBytes() + this.#arrivingBytes + bytes - replacedBytes;
    if (isAsked && wanted() > max) await this.#makeRoom(() => wanted() - max);
    if (wanted() > max) throw full(`A client stores at most ${max} bytes; delete a checkpoint first.`);
    this.#arrivingBytes += bytes;
    try {
      if (!(await this.#report(wanted() - bytes, false))) {
        throw full(`The clients of a tenant store at most ${settings.MAX_STORED_BYTES_PER_TENANT} bytes together.`);
      }
      return await store();
    } finally {
      this.#arrivingBytes -= bytes;
    }
  }

  /** Tells the tenant's ledger what the client has, if that is not what it was told last. */
  async settle(): Promise<void> {
    const bytes = this.#options.checkpoints.storedBytes() + this.#arrivingBytes;
    if (this.#toldBytes !== bytes) await this.#report(bytes, true);
  }

  async #makeRoom(missing: () => number): Promise<void> {
    const { checkpoints, spareable } = this.#options;
    for (const record of checkpoints.oldestAutomatic()) {
      if (missing() <= 0) return;
      if (spareable().has(record.id)) await checkpoints.delete(record);
    }
  }

  /** @returns false if the tenant's limit forbids it. */
  async #report(bytes: number, isFact: boolean): Promise<boolean> {
    const { env, settings, object, tenant } = this.#options;
    if (settings.MAX_STORED_BYTES_PER_TENANT === 0) return true;
    const isNoted = await reportStored(env, tenant(), { object, bytes, isFact });
    if (isNoted) this.#toldBytes = bytes;
    return isNoted;
  }
}
