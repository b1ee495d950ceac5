/** Owns asking the edge to open a link for one session: one call at a time, repeated with growing pauses until a link is there. */
import { setTimeout as sleep } from "node:timers/promises";
import { Backoff } from "../../backoff.ts";
import type { EdgeAnswer } from "../edge-calls.ts";

const FIRST_PAUSE_MS = 350;
const LONGEST_PAUSE_MS = 20_000;

export interface DoorbellOptions {
  call: (signal: AbortSignal) => Promise<EdgeAnswer>;
  /** Asked before each call; false ends the calls. */
  isNeeded: () => boolean;
  /** Called after each call; the answer `unknown` ends the calls. */
  onAnswer: (answer: EdgeAnswer) => void;
}

/** Calls the edge while `isNeeded`. */
export class Doorbell {
  readonly #options: DoorbellOptions;
  #ringing: AbortController | null = null;

  constructor(options: DoorbellOptions) {
    this.#options = options;
  }

  /** Starts calling, unless calls are under way. @param afterMs delays the first call, which may turn out to be needless. */
  ring(afterMs = 0): void {
    if (this.#ringing !== null) return;
    this.#ringing = new AbortController();
    void this.#ringUntilQuiet(this.#ringing, afterMs);
  }

  /** Ends the calls: there is a link, or the session is gone. */
  stop(): void {
    this.#ringing?.abort();
    this.#ringing = null;
  }

  async #ringUntilQuiet(ringing: AbortController, afterMs: number): Promise<void> {
    const { signal } = ringing;
    const backoff = new Backoff({ firstMs: FIRST_PAUSE_MS, longestMs: LONGEST_PAUSE_MS });
    if (afterMs > 0) await pause(afterMs, signal);
    while (!signal.aborted && this.#options.isNeeded()) {
      const answer = await this.#options.call(signal);
      if (signal.aborted) return;
      this.#options.onAnswer(answer);
      if (answer.outcome === "unknown") break;
      await pause(backoff.noteFailure(), signal);
    }
    // No `await` since the last `isNeeded`, so that news cannot arrive unnoticed between the two.
    if (this.#ringing === ringing) this.#ringing = null;
  }
}

/** Ends early if the signal fires. */
async function pause(ms: number, signal: AbortSignal): Promise<void> {
  await sleep(ms, undefined, { signal, ref: false }).catch(() => undefined);
}
