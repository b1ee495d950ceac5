/** Owns the runner's registration with the edge: a heartbeat at a steady pace and on every change, with back-off while the edge is away. */
import type { Heartbeat } from "../../src/protocol/link.ts";
import type { EdgeAnswer } from "./edge-calls.ts";
import type { Logger } from "./log.ts";

const FIRST_RETRY_MS = 100;
/** Slow growth: an edge that starts together with the runner is found soon after it is up. */
const RETRY_GROWTH = 1.25;
const PATIENCE_MS = 1000;

export interface HeartbeatOptions {
  call: (heartbeat: Heartbeat, signal: AbortSignal) => Promise<EdgeAnswer>;
  /** Read anew for each heartbeat. */
  describe: () => Heartbeat;
  periodMs: number;
  log: Logger;
  /** Called when the edge has taken a heartbeat after a time without. */
  onRegistered?: () => void;
}

/** Sends heartbeats from `start` to `stop`; logs only when the edge comes or goes. */
export class HeartbeatSender {
  readonly #options: HeartbeatOptions;
  readonly #stopping = new AbortController();
  #edge: "not asked" | "waiting" | "there" | "lost" = "not asked";
  #timer: NodeJS.Timeout | null = null;
  #isSending = false;
  #isStale = false;
  #retryMs = FIRST_RETRY_MS;

  constructor(options: HeartbeatOptions) {
    this.#options = options;
  }

  /** Sends one now, because something changed, and goes on from there. */
  beat(): void {
    if (this.#stopping.signal.aborted) return;
    if (this.#isSending) {
      this.#isStale = true;
      return;
    }
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    this.#isSending = true;
    void this.#send();
  }

  stop(): void {
    this.#stopping.abort();
    if (this.#timer !== null) clearTimeout(this.#timer);
  }

  async #send(): Promise<void> {
    this.#isStale = false;
    const answer = await this.#options.call(this.#options.describe(), this.#stopping.signal);
    this.#isSending = false;
    if (this.#stopping.signal.aborted) return;
    const pauseMs = answer.outcome === "taken" ? this.#noteThere() : this.#noteAway(answer);
    if (this.#isStale && answer.outcome === "taken") this.beat();
    else this.#timer = setTimeout(() => this.beat(), pauseMs).unref();
  }

  #noteThere(): number {
    this.#retryMs = FIRST_RETRY_MS;
    if (this.#edge !== "there") {
      this.#options.log.info(this.#edge === "lost" ? "the edge is there again" : "registered with the edge");
      this.#edge = "there";
      this.#options.onRegistered?.();
    }
    return this.#options.periodMs;
  }

  #noteAway(answer: Exclude<EdgeAnswer, { outcome: "taken" }>): number {
    const { log, periodMs } = this.#options;
    const why = answer.outcome === "away" ? answer.why : "it does not know this call";
    const retryMs = this.#retryMs;
    this.#retryMs = Math.min(retryMs * RETRY_GROWTH, periodMs);
    if (this.#edge === "there") {
      log.warn({ why }, "the edge does not take heartbeats; trying on");
      this.#edge = "lost";
    } else if (this.#edge === "not asked" && retryMs >= PATIENCE_MS) {
      // An edge that starts together with the runner is worth no line.
      log.info({ why }, "waiting for the edge");
      this.#edge = "waiting";
    }
    return retryMs;
  }
}
