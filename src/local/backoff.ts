/** Owns how long to wait before a process that ended is started again. */

const FIRST_MS = 250;
const LONGEST_MS = 10_000;

/** What ran for so long had started well: its end is a new trouble. */
const WELL_AFTER_MS = 30_000;

export class Backoff {
  #nextMs = FIRST_MS;

  /**
   * @param ranForMs how long it ran before it ended.
   * @returns milliseconds to wait.
   */
  next(ranForMs: number): number {
    if (ranForMs >= WELL_AFTER_MS) this.#nextMs = FIRST_MS;
    const waitMs = this.#nextMs;
    this.#nextMs = Math.min(waitMs * 2, LONGEST_MS);
    return waitMs;
  }
}
