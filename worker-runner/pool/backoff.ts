/** Owns how long to wait after failures in a row: exponentially longer, never in step with others. */

export interface BackoffOptions {
  firstMs: number;
  longestMs: number;
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

  /** @returns milliseconds to wait: between half and all of the doubled time. */
  noteFailure(): number {
    const { firstMs, longestMs } = this.#options;
    const ceiling = Math.min(longestMs, firstMs * 2 ** this.#failures);
    this.#failures += 1;
    return ceiling * (0.5 + Math.random() / 2);
  }
}
