/** Owns collecting small pieces of output: the first one after silence leaves at once, those that follow within milliseconds together. */
import type { StreamName } from "../../interpreter/output-cursor.ts";

/** Pieces that arrive within this time after the last delivery are collected. */
const COLLECT_MS = 4;
/** Collected text of this length leaves at once. It is the length of Python's own largest piece. */
const FULL_CHARACTERS = 64 * 1024;

export class OutputCollector {
  readonly #deliver: (text: string, stream: StreamName) => void;
  #text = "";
  #stream: StreamName = "stdout";
  #deliveredAt = Number.NEGATIVE_INFINITY;
  #timer: NodeJS.Timeout | null = null;

  constructor(deliver: (text: string, stream: StreamName) => void) {
    this.#deliver = deliver;
  }

  add(text: string, stream: StreamName): void {
    if (this.#text !== "" && (stream !== this.#stream || this.#text.length + text.length > FULL_CHARACTERS))
      this.flush();
    if (this.#text === "" && text.length < FULL_CHARACTERS / 2) {
      const now = performance.now();
      const waitMs = this.#deliveredAt + COLLECT_MS - now;
      if (waitMs > 0) {
        this.#text = text;
        this.#stream = stream;
        this.#timer ??= setTimeout(() => this.flush(), waitMs);
        return;
      }
      this.#deliveredAt = now;
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
    this.#deliver(text, this.#stream);
  }
}
