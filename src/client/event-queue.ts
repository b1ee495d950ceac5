/** Owns the events of one run on their way to the loop that reads them, and counts the characters that wait there. */
import type { RunEvent } from "./wire.ts";

/** What is kept for a loop that has not begun. */
const KEPT_CHARS = 256 * 1024;

interface Item {
  event: RunEvent;
  chars: number;
}

/** `kept`: nobody reads yet. `read`: a loop does. `left`: none will. */
type Mode = "kept" | "read" | "left";

export class EventQueue {
  readonly #changed: () => void;
  #mode: Mode = "kept";
  #items: Item[] = [];
  #chars = 0;
  /** Seqs of events that came before the loop and were not kept. */
  #missed: { from: number; to: number } | null = null;
  #wake: (() => void) | null = null;
  #end: { error: unknown } | { error: null } | null = null;

  /** @param changed the number of waiting characters is another. */
  constructor(changed: () => void) {
    this.#changed = changed;
  }

  /** Characters that a loop has not taken yet; 0 while there is none, since nobody holds them up. */
  get waitingChars(): number {
    return this.#mode === "read" ? this.#chars : 0;
  }

  push(event: RunEvent): void {
    if (this.#mode === "left") return;
    const chars = event.type === "output" ? event.data.data.length : 0;
    this.#items.push({ event, chars });
    this.#chars += chars;
    if (this.#mode === "kept") this.#forgetOldest();
    this.#wakeUp();
    if (chars > 0) this.#changed();
  }

  /** No more events come; an error is thrown to the loop. */
  finish(error: unknown = null): void {
    this.#end = { error };
    this.#wakeUp();
  }

  /** Takes the events one by one. @throws Error where another loop does so already. */
  async *read(): AsyncGenerator<RunEvent> {
    if (this.#mode !== "kept") throw new Error("The events of a run can be taken by one loop only.");
    this.#mode = "read";
    try {
      if (this.#missed !== null) yield { type: "gap", data: this.#missed };
      for (;;) {
        const items = this.#items;
        this.#items = [];
        for (const { event, chars } of items) {
          yield event;
          this.#chars -= chars;
          if (chars > 0) this.#changed();
        }
        if (this.#items.length > 0) continue;
        if (this.#end !== null) {
          if (this.#end.error !== null) throw this.#end.error;
          return;
        }
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
      }
    } finally {
      this.#mode = "left";
      this.#items = [];
      this.#chars = 0;
      this.#changed();
    }
  }

  #forgetOldest(): void {
    while (this.#chars > KEPT_CHARS) {
      const oldest = this.#items.shift();
      if (oldest === undefined) return;
      this.#chars -= oldest.chars;
      const { event } = oldest;
      if (event.type === "gap") continue;
      this.#missed = { from: this.#missed?.from ?? event.seq, to: event.seq };
    }
  }

  #wakeUp(): void {
    this.#wake?.();
    this.#wake = null;
  }
}
