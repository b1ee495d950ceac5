/** Owns how long to wait after consecutive failures: longer each time, and at random, so that several waiters do not retry in step. */

export interface BackoffOptions {
  firstMs: number;
  longestMs: number;
  /** The factor from one wait to the next (2). */
  growth?: number;
}

export class Backoff {
  readonly #options: BackoffOptions;
  #failures = 0;

  constructor(options: BackoffOptions) {
    this.#options = options;
  }

  /** Failures since the last success. */
  get failures(): number {
    return this.#failures;
  }

  noteSuccess(): void {
    this.#failures = 0;
  }

  /** @returns milliseconds to wait: between half and all of the present maximum. */
  noteFailure(): number {
    const { firstMs, longestMs, growth = 2 } = this.#options;
    const maxMs = Math.min(longestMs, firstMs * growth ** this.#failures);
    this.#failures += 1;
    return maxMs * (0.5 + Math.random() / 2);
  }
}
