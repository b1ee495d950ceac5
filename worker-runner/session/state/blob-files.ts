/** Owns the blob files of one session: where they are outside the sandbox, and how long each one is kept. */
import { randomUUID } from "node:crypto";
import { copyFile, link, mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { BlobWriter } from "./blob-writer.ts";

/** A file that exists while somebody holds it. */
export class Blob {
  readonly path: string;
  readonly #holders = new Set<object>();
  #isRemoved = false;

  constructor(path: string) {
    this.path = path;
  }

  /** True once nobody held the file any more. */
  get isRemoved(): boolean {
    return this.#isRemoved;
  }

  hold(holder: object): void {
    this.#holders.add(holder);
  }

  /** Removes the file if this was the last holder. */
  release(holder: object): void {
    if (!this.#holders.delete(holder) || this.#holders.size > 0) return;
    this.#isRemoved = true;
    // The session's directory is removed at its end, and a file that stays until then does no harm.
    rm(this.path, { force: true }).catch(() => undefined);
  }
}

export class BlobFiles {
  readonly #directory: string;

  /** @param directory is created for the first blob. The owner of the session's directory removes it. */
  constructor(directory: string) {
    this.#directory = directory;
  }

  async begin(maxBytes: number): Promise<BlobWriter> {
    return BlobWriter.create(await this.#newPath(), maxBytes);
  }

  /** Makes a blob of a file that belongs to the caller, who may remove it afterwards. The bytes are copied only if they cannot be shared. */
  async adopt(path: string): Promise<Blob> {
    const own = await this.#newPath();
    await link(path, own).catch(() => copyFile(path, own));
    return new Blob(own);
  }

  async #newPath(): Promise<string> {
    await mkdir(this.#directory, { recursive: true, mode: 0o700 });
    return join(this.#directory, randomUUID());
  }
}
