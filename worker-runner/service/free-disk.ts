/** Owns whether the file systems that the service stores on have enough room left. */
import { statfsSync } from "node:fs";

const MIB = 1024 * 1024;
/** The answer holds for this long, so that a storm of questions costs nothing. */
const KNOWN_MS = 1000;

type FreeBytes = (folder: string) => number;

/** Bytes that this user can still write. */
function freeBytesOf(folder: string): number {
  const { bavail, bsize } = statfsSync(folder);
  return bavail * bsize;
}

export class FreeDisk {
  readonly #folders: readonly string[];
  readonly #minBytes: number;
  readonly #freeBytes: FreeBytes;
  #isLow = false;
  #knownUntilMs = 0;

  /** @param minMb 0: never low. */
  constructor(folders: readonly string[], minMb: number, freeBytes: FreeBytes = freeBytesOf) {
    this.#folders = folders;
    this.#minBytes = minMb * MIB;
    this.#freeBytes = freeBytes;
  }

  /** True if one of the folders has less room than it must keep. */
  get isLow(): boolean {
    const nowMs = performance.now();
    if (this.#minBytes > 0 && nowMs >= this.#knownUntilMs) {
      this.#isLow = this.#folders.some((folder) => this.#hasTooLittle(folder));
      this.#knownUntilMs = nowMs + KNOWN_MS;
    }
    return this.#isLow;
  }

  #hasTooLittle(folder: string): boolean {
    try {
      return this.#freeBytes(folder) < this.#minBytes;
    } catch {
      // The folder is not there yet, or the file system does not say.
      return false;
    }
  }
}
