/** Owns ringing the edge for one session: one call at a time, again with growing pauses, until there is a link or no news. */
import { setTimeout as sleep } from "node:timers/promises";
import type { EdgeAnswer } from "../edge-calls.ts";

const FIRST_PAUSE_MS = 250;
const LONGEST_PAUSE_MS = 15_000;

export interface DoorbellOptions {
  call: (signal: AbortSignal) => Promise<EdgeAnswer>;
  /** Asked before each ring; false ends the ringing. */
  isNeeded: () => boolean;
  /** Called after each ring; `unknown` ends the ringing. */
  onAnswer: (answer: EdgeAnswer) => void;
}

/** Rings while `isNeeded`; calling `ring` while it rings changes nothing. */
export class Doorbell {
  readonly #options: DoorbellOptions;
  #ringing: AbortController | null = null;

  constructor(options: DoorbellOptions) {
    this.#options = options;
  }

  /** @param afterMs waits so long first, in case it turns out that it need not. */
  ring(afterMs = 0): void {
    if (this.#ringing !== null) return;
    this.#ringing = new AbortController();
    void this.#ringUntilQuiet(this.#ringing, afterMs);
  }

  /** Ends the ringing: there is a link, or nobody to ring for. */
  stop(): void {
    this.#ringing?.abort();
    this.#ringing = null;
  }

  async #ringUntilQuiet(ringing: AbortController, afterMs: number): Promise<void> {
    const { signal } = ringing;
    if (afterMs > 0) await pause(afterMs, signal);
    let pauseMs = FIRST_PAUSE_MS;
    while (!signal.aborted && this.#options.isNeeded()) {
      const answer = await this.#options.call(signal);
      if (signal.aborted) return;
      this.#options.onAnswer(answer);
      if (answer.outcome === "unknown") break;
      // Up to a quarter later, so that the sessions of one runner do not ring in step.
      await pause(pauseMs * (1 + Math.random() / 4), signal);
      pauseMs = Math.min(pauseMs * 2, LONGEST_PAUSE_MS);
    }
    // In the same turn as the last question, so that no news falls between the two.
    if (this.#ringing === ringing) this.#ringing = null;
  }
}

/** Ends early where the signal fires. */
async function pause(ms: number, signal: AbortSignal): Promise<void> {
  await sleep(ms, undefined, { signal, ref: false }).catch(() => undefined);
}
