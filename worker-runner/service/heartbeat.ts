/** Owns the runner's registration with the edge: a heartbeat at intervals and after every change, with back-off. */
import type { Heartbeat } from "../../src/protocol/link.ts";
import { Backoff } from "../backoff.ts";
import type { EdgeAnswer } from "./edge-calls.ts";
import type { Logger } from "./log.ts";

const FIRST_RETRY_MS = 100;
/** The pauses grow slowly, so that an edge that starts together with the runner is found soon. */
const RETRY_GROWTH = 1.25;
/** An edge that cannot be reached for this long after the start is mentioned in the log. */
const PATIENCE_MS = 1000;

export interface HeartbeatOptions {
  call: (heartbeat: Heartbeat, signal: AbortSignal) => Promise<EdgeAnswer>;
  /** Called for each heartbeat. */
  describe: () => Heartbeat;
  periodMs: number;
  log: Logger;
  /** Called when the edge accepts the first heartbeat, or the first one after an interruption. */
  onRegistered?: () => void;
}

/** Sends heartbeats from the first `beat` to `stop`. It logs only when the edge becomes reachable or unreachable. */
export class HeartbeatSender {
  readonly #options: HeartbeatOptions;
  readonly #stopping = new AbortController();
  #edge: "not asked" | "waiting" | "there" | "lost" = "not asked";
  #timer: NodeJS.Timeout | null = null;
  #isSending = false;
  #isStale = false;
  readonly #backoff: Backoff;

  constructor(options: HeartbeatOptions) {
    this.#options = options;
    this.#backoff = new Backoff({ firstMs: FIRST_RETRY_MS, longestMs: options.periodMs, growth: RETRY_GROWTH });
  }

  /** Sends a heartbeat now, because something changed. The next one follows a period later. */
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
    this.#backoff.noteSuccess();
    if (this.#edge !== "there") {
      this.#options.log.info(this.#edge === "lost" ? "the edge accepts heartbeats again" : "registered with the edge");
      this.#edge = "there";
      this.#options.onRegistered?.();
    }
    return this.#options.periodMs;
  }

  #noteAway(answer: Exclude<EdgeAnswer, { outcome: "taken" }>): number {
    const { log } = this.#options;
    const why = answer.outcome === "away" ? answer.why : "it does not know this call";
    const retryMs = this.#backoff.noteFailure();
    if (this.#edge === "there") {
      log.warn({ why }, "the edge does not accept heartbeats; retrying");
      this.#edge = "lost";
    } else if (this.#edge === "not asked" && retryMs >= PATIENCE_MS / 2) {
      // An edge that starts together with the runner needs a moment. That is not worth a line in the log.
      log.info({ why }, "waiting for the edge");
      this.#edge = "waiting";
    }
    return retryMs;
  }
}
