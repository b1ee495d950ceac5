/** Owns when a session was last used, and whether it is giving way to another one. */

/** If the edge has not stored a session within this time, another one is asked to give way. */
const GIVE_WAY_DEADLINE_MS = 10_000;

export class SessionUse {
  readonly #onIdle: () => void;
  #isBusy = false;
  /** Calls that use the session and are no executions. */
  #calls = 0;
  #usedAt = performance.now();
  /** Runs while the edge is asked to store the session to make room. */
  #givingWay: NodeJS.Timeout | null = null;

  /** @param onIdle the session has become idle, or is not giving way any more. */
  constructor(onIdle: () => void) {
    this.#onIdle = onIdle;
  }

  /** The session has begun its first turn, or has ended its last one. */
  readonly noteBusy = (isBusy: boolean): void => {
    this.#isBusy = isBusy;
    this.#usedAt = performance.now();
    if (!isBusy) this.#onIdle();
  };

  /** Milliseconds since the last use; null while the session is in use or gives way. */
  get idleMs(): number | null {
    const isInUse = this.#isBusy || this.#calls > 0;
    return isInUse || this.isGivingWay ? null : performance.now() - this.#usedAt;
  }

  get isGivingWay(): boolean {
    return this.#givingWay !== null;
  }

  /** A client uses the session: it does not give way now. */
  note(): void {
    this.#usedAt = performance.now();
    if (this.#givingWay === null) return;
    this.close();
    this.#onIdle();
  }

  /** A call that is no execution begins. @returns ends the use; safe to call twice. */
  begin(): () => void {
    let isOver = false;
    this.#calls += 1;
    this.note();
    return () => {
      if (isOver) return;
      isOver = true;
      this.#calls -= 1;
      this.#usedAt = performance.now();
      this.#onIdle();
    };
  }

  /** The edge is asked to store the session. It stays after all if the edge takes too long. */
  startGivingWay(): void {
    this.#givingWay = setTimeout(() => this.note(), GIVE_WAY_DEADLINE_MS);
  }

  close(): void {
    if (this.#givingWay !== null) clearTimeout(this.#givingWay);
    this.#givingWay = null;
  }
}
