/** Owns the files that blobs of one session lie in, outside the sandbox; user code never reaches them. */
import { createHash, randomUUID } from "node:crypto";
import { copyFile, mkdir, open, rm } from "node:fs/promises";
import { join } from "node:path";

export interface SpooledBlob {
  path: string;
  size: number;
  sha256: string;
}

/** A blob on its way into its file. */
export interface BlobWriter {
  write(piece: Buffer): Promise<void>;
  /** The file is whole. */
  finish(): Promise<SpooledBlob>;
  /** Removes what has been written. */
  discard(): Promise<void>;
}

export class BlobSpool {
  readonly #directory: string;

  /** @param directory is made when the first blob comes, and removed by whoever owns the session's directory. */
  constructor(directory: string) {
    this.#directory = directory;
  }

  async begin(): Promise<BlobWriter> {
    const path = await this.#newPath();
    const file = await open(path, "wx", 0o600);
    const digest = createHash("sha256");
    let size = 0;
    return {
      async write(piece) {
        digest.update(piece);
        size += piece.length;
        await file.writeFile(piece);
      },
      async finish() {
        await file.close();
        return { path, size, sha256: digest.digest("hex") };
      },
      async discard() {
        await file.close();
        await rm(path, { force: true });
      },
    };
  }

  /** Keeps a copy of somebody else's file. @returns its path. */
  async adopt(path: string): Promise<string> {
    const copy = await this.#newPath();
    await copyFile(path, copy);
    return copy;
  }

  remove(path: string): Promise<void> {
    return rm(path, { force: true });
  }

  async #newPath(): Promise<string> {
    await mkdir(this.#directory, { recursive: true, mode: 0o700 });
    return join(this.#directory, randomUUID());
  }
}
