/** Owns writing a blob into a new file: its length is limited, its SHA-256 and its pieces are found on the way, and a failed one is removed. */
import { createHash } from "node:crypto";
import { type FileHandle, open, rm } from "node:fs/promises";
import type { BlobPiece } from "../../../src/protocol/link.ts";
import { PieceCutter } from "./piece-cutter.ts";

/** A complete blob file. */
export interface BlobFile {
  path: string;
  size: number;
  sha256: string;
  pieces: BlobPiece[];
}

export class BlobTooLarge extends Error {
  override readonly name = "BlobTooLarge";
}

export class BlobWriter {
  readonly #path: string;
  readonly #file: FileHandle;
  readonly #maxBytes: number;
  readonly #digest = createHash("sha256");
  readonly #cutter = new PieceCutter();
  #size = 0;

  private constructor(path: string, file: FileHandle, maxBytes: number) {
    this.#path = path;
    this.#file = file;
    this.#maxBytes = maxBytes;
  }

  /** Creates the file, readable by this user only. */
  static async create(path: string, maxBytes: number): Promise<BlobWriter> {
    return new BlobWriter(path, await open(path, "wx", 0o600), maxBytes);
  }

  /** @throws BlobTooLarge. */
  async write(piece: Uint8Array): Promise<void> {
    this.#size += piece.byteLength;
    if (this.#size > this.#maxBytes) throw new BlobTooLarge(`the blob has more than ${this.#maxBytes} bytes`);
    this.#digest.update(piece);
    this.#cutter.write(piece);
    await this.#file.writeFile(piece);
  }

  /** Closes the file. No more pieces may follow. */
  async finish(): Promise<BlobFile> {
    await this.#file.close();
    return { path: this.#path, size: this.#size, sha256: this.#digest.digest("hex"), pieces: this.#cutter.finish() };
  }

  /** Removes what was written. */
  async discard(): Promise<void> {
    await this.#file.close();
    await rm(this.#path, { force: true });
  }
}
