/** Owns collecting small pieces of output: the first one after silence leaves at once, those that follow within milliseconds together. */
import type { StreamName } from "../../interpreter/output-cursor.ts";

/** Pieces that arrive within this time after the last delivery are collected. */
const COLLECT_MS = 4;
/** After this many deliveries without silence, it is a stream that nobody reads piece by piece, and pieces are collected for longer. */
const STREAM_AFTER_DELIVERIES = 50;
const COLLECT_STREAM_MS = 20;
/** Collected text of this length leaves at once. It is the length of Python's own largest piece. */
const FULL_CHARACTERS = 64 * 1024;

export class OutputCollector {
  readonly #deliver: (text: string, stream: StreamName) => void;
  #text = "";
  #stream: StreamName = "stdout";
  #deliveredAt = Number.NEGATIVE_INFINITY;
  #timer: NodeJS.Timeout | null = null;
  /** Deliveries since the last silence. */
  #deliveries = 0;

  constructor(deliver: (text: string, stream: StreamName) => void) {
    this.#deliver = deliver;
  }

  add(text: string, stream: StreamName): void {
    if (this.#text !== "" && (stream !== this.#stream || this.#text.length + text.length > FULL_CHARACTERS))
      this.flush();
    if (this.#text === "" && text.length < FULL_CHARACTERS / 2) {
      const now = performance.now();
      const collectMs = this.#deliveries > STREAM_AFTER_DELIVERIES ? COLLECT_STREAM_MS : COLLECT_MS;
      const waitMs = this.#deliveredAt + collectMs - now;
      if (waitMs > 0) {
        this.#text = text;
        this.#stream = stream;
        this.#timer ??= setTimeout(() => this.flush(), waitMs);
        return;
      }
      this.#deliveredAt = now;
      this.#deliveries = 0;
    } else if (this.#text !== "") {
      this.#text += text;
      return;
    }
    this.#deliver(text, stream);
  }

  /** Delivers what was collected. */
  flush(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    const text = this.#text;
    if (text === "") return;
    this.#text = "";
    this.#deliveredAt = performance.now();
    this.#deliveries += 1;
    this.#deliver(text, this.#stream);
  }
}
