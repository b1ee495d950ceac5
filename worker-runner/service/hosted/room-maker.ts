/** Owns making room on a full runner: while callers wait for a session, the edge is asked to store the sessions that have been idle longest. */
import type { HostedSession } from "./hosted-session.ts";

export interface RoomMakerOptions {
  sessions(): Iterable<HostedSession>;
  /** How many waiting callers can only be served if a session leaves. */
  missing(): number;
  /** A session gives way only after it was idle for this long. */
  idleMs: number;
}

export class RoomMaker {
  readonly #options: RoomMakerOptions;
  #waiting = 0;
  #timer: NodeJS.Timeout | null = null;

  constructor(options: RoomMakerOptions) {
    this.#options = options;
  }

  /** Whether waiting is worthwhile in a full house: a session is idle, or about to leave. */
  get canMakeRoom(): boolean {
    for (const hosted of this.#options.sessions()) if (hosted.isGivingWay || hosted.idleMs !== null) return true;
    return false;
  }

  /** Makes room until `acquire` has ended. */
  async whileWaiting<T>(acquire: Promise<T>): Promise<T> {
    this.#waiting += 1;
    this.pulse();
    try {
      return await acquire;
    } finally {
      this.#waiting -= 1;
    }
  }

  /** Asks as many sessions to leave as are missing. Call it after every change that may allow more. */
  readonly pulse = (): void => {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    if (this.#waiting === 0) return;
    let missing = this.#options.missing();
    const idle: { hosted: HostedSession; idleMs: number }[] = [];
    for (const hosted of this.#options.sessions()) {
      if (hosted.isGivingWay) missing -= 1;
      else if (hosted.idleMs !== null) idle.push({ hosted, idleMs: hosted.idleMs });
    }
    idle.sort((one, other) => other.idleMs - one.idleMs);
    for (const { hosted, idleMs } of idle) {
      if (missing <= 0) return;
      if (idleMs < this.#options.idleMs) {
        this.#timer = setTimeout(() => this.pulse(), this.#options.idleMs - idleMs + 1);
        return;
      }
      hosted.giveWay();
      missing -= 1;
    }
  };
}
