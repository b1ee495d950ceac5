/** Owns ringing the edge for one session: one call at a time, again with growing pauses, until there is a link or no news. */
import { setTimeout as sleep } from "node:timers/promises";
import type { EdgeAnswer } from "./edge-calls.ts";

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

  ring(): void {
    if (this.#ringing !== null) return;
    const ringing = new AbortController();
    this.#ringing = ringing;
    void this.#ringUntilQuiet(ringing.signal).finally(() => {
      if (this.#ringing === ringing) this.#ringing = null;
    });
  }

  /** Ends the ringing: there is a link, or nobody to ring for. */
  stop(): void {
    this.#ringing?.abort();
    this.#ringing = null;
  }

  async #ringUntilQuiet(signal: AbortSignal): Promise<void> {
    for (let pauseMs = FIRST_PAUSE_MS; this.#options.isNeeded(); pauseMs = Math.min(pauseMs * 2, LONGEST_PAUSE_MS)) {
      const answer = await this.#options.call(signal);
      if (signal.aborted) return;
      this.#options.onAnswer(answer);
      if (answer.outcome === "unknown") return;
      // Up to a quarter later, so that the sessions of one runner do not ring in step.
      await sleep(pauseMs * (1 + Math.random() / 4), undefined, { signal, ref: false }).catch(() => undefined);
      if (signal.aborted) return;
    }
  }
}
