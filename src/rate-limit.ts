/** Owns the rate at which a client may make calls. Limits are token buckets without a timer, because a timer would keep the object awake. */

export class RateLimit {
  readonly #perSecond: number;
  readonly #burst: number;
  #tokens: number;
  #filledAtMs: number;

  /** @param perSecond 0 switches the limit off. */
  constructor(perSecond: number, burst: number, nowMs: number) {
    this.#perSecond = perSecond;
    this.#burst = Math.max(1, burst);
    this.#tokens = this.#burst;
    this.#filledAtMs = nowMs;
  }

  /**
   * Counts something that costs `cost` tokens; one token is enough to begin, and the rest is owed.
   *
   * @returns 0, or the seconds to wait if too much was asked for. What is refused costs nothing.
   */
  take(nowMs: number, cost = 1): number {
    if (this.#perSecond === 0) return 0;
    this.#fill(nowMs);
    if (this.#tokens < 1) return (1 - this.#tokens) / this.#perSecond;
    this.#tokens -= cost;
    return 0;
  }

  /** Counts something that cannot be refused. @returns the seconds until nothing is owed. */
  owe(nowMs: number, cost: number): number {
    if (this.#perSecond === 0) return 0;
    this.#fill(nowMs);
    this.#tokens -= cost;
    return Math.max(0, -this.#tokens / this.#perSecond);
  }

  #fill(nowMs: number): void {
    const filled = this.#tokens + (Math.max(0, nowMs - this.#filledAtMs) / 1000) * this.#perSecond;
    this.#tokens = Math.min(this.#burst, filled);
    this.#filledAtMs = nowMs;
  }
}

/** The limits of one client: the service's own, and one for each rate that its tokens name. */
export class RateLimits {
  readonly #own: RateLimit;
  readonly #ofTokens = new Map<number, RateLimit>();

  constructor(own: RateLimit) {
    this.#own = own;
  }

  /**
   * Counts one message, or a long one as several.
   *
   * @param perSecond the rate that the caller's token names; null: none.
   * @returns 0, or the seconds to wait if there are too many.
   */
  take(perSecond: number | null, nowMs: number, cost = 1): number {
    const retryAfter = perSecond === null ? 0 : this.#ofToken(perSecond, nowMs).take(nowMs, cost);
    return retryAfter > 0 ? retryAfter : this.#own.take(nowMs, cost);
  }

  #ofToken(perSecond: number, nowMs: number): RateLimit {
    let limit = this.#ofTokens.get(perSecond);
    if (limit === undefined) {
      limit = new RateLimit(perSecond, Math.ceil(perSecond), nowMs);
      this.#ofTokens.set(perSecond, limit);
    }
    return limit;
  }
}
