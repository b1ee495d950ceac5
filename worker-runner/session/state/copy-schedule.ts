/** Owns when a recovery copy is worth its cost: copies take a small share of the time, and each execution after a pause gets one. */

/** An execution that begins this long after the one before is spaced; a session that rests this long is quiet. */
export const QUIET_MS = 3;
/** What a copy costs before the first one was measured. */
const ASSUMED_COST_MS = 3;
const MIN_COST_MS = 0.1;
const MAX_COST_MS = 250;
/** How much the newest cost counts in the mean. */
const NEWEST_WEIGHT = 0.25;

export class CopySchedule {
  readonly #share: number;
  readonly #burst: number;
  #costMs = ASSUMED_COST_MS;
  /** Milliseconds that copies may take now. It grows with the wall time. */
  #creditMs: number;
  #countedAt = performance.now();
  #endedAt = Number.NEGATIVE_INFINITY;
  #isSpaced = true;

  /**
   * @param share of the wall time that copies may take in a row of executions without pause.
   * @param burst how many copies the credit is worth at most.
   */
  constructor(share: number, burst: number) {
    this.#share = share;
    this.#burst = burst;
    this.#creditMs = this.#maxCreditMs;
  }

  /** The mean cost of a copy, in milliseconds. */
  get costMs(): number {
    return this.#costMs;
  }

  /** @param seconds for which the live process was busy with a copy: the fork, and the page faults after it. */
  noteCost(seconds: number): void {
    const costMs = Math.min(MAX_COST_MS, Math.max(MIN_COST_MS, seconds * 1_000));
    this.#costMs += NEWEST_WEIGHT * (costMs - this.#costMs);
  }

  /** An execution begins. */
  noteBegin(): void {
    this.#isSpaced = performance.now() - this.#endedAt >= QUIET_MS;
  }

  /** Fills up the credit: copies are worth most to a session that has just needed one. */
  refill(): void {
    this.#creditMs = this.#maxCreditMs;
  }

  /**
   * An execution has ended.
   *
   * @param isNextWaiting the next execution waits already, so a copy would delay it.
   * @returns whether a copy is due now; otherwise it is due once the session is quiet.
   */
  isDueAfterEnd(isNextWaiting: boolean): boolean {
    const now = performance.now();
    this.#creditMs = Math.min(this.#maxCreditMs, this.#creditMs + (now - this.#countedAt) * this.#share);
    this.#countedAt = now;
    this.#endedAt = now;
    // If the client pauses between its executions, the copy is likely to be done before the next one.
    const isAffordable = this.#creditMs >= this.#costMs;
    const isDue = isAffordable || (this.#isSpaced && !isNextWaiting);
    if (isDue) this.#creditMs = Math.max(0, this.#creditMs - this.#costMs);
    return isDue;
  }

  get #maxCreditMs(): number {
    return this.#burst * this.#costMs;
  }
}
