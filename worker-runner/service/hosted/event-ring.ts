/** Owns the events of one session that the edge has not stored yet, and tells when there is no room for more output. */
import type { NumberedEvent } from "../../session/session-contract.ts";

/** The list is compacted once it begins with at least this many dropped events. */
const CLOSE_UP_FROM = 1024;

/**
 * A list in order of `seq`: events are appended at the end and dropped from the front. It accepts events past its limit too, because a
 * terminal event must never be lost. The caller checks `isFull` and stops the source.
 */
export class EventRing {
  readonly #maxBytes: number;
  #events: (NumberedEvent | undefined)[] = [];
  #head = 0;
  #bytes = 0;

  /** @param maxBytes the limit of the kept frames. */
  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  get bytes(): number {
    return this.#bytes;
  }

  get size(): number {
    return this.#events.length - this.#head;
  }

  get isFull(): boolean {
    return this.#bytes >= this.#maxBytes;
  }

  /** True if it is half empty, so that the source may start again. */
  get hasRoom(): boolean {
    return this.#bytes <= this.#maxBytes / 2;
  }

  append(event: NumberedEvent): void {
    this.#events.push(event);
    this.#bytes += event.bytes;
  }

  /** Forgets every event up to and including `seq`. */
  dropThrough(seq: number): void {
    while (this.#head < this.#events.length) {
      const event = this.#events[this.#head];
      if (event === undefined || event.seq > seq) break;
      this.#bytes -= event.bytes;
      this.#events[this.#head] = undefined;
      this.#head += 1;
    }
    if (this.#head === this.#events.length) {
      this.#events = [];
      this.#head = 0;
    } else if (this.#head >= CLOSE_UP_FROM && this.#head * 2 > this.#events.length) {
      this.#events.splice(0, this.#head);
      this.#head = 0;
    }
  }

  /** The first kept event with a greater seq. */
  firstAfter(seq: number): NumberedEvent | undefined {
    let low = this.#head;
    let high = this.#events.length;
    // Usually it is the last event, which was just appended.
    if (high > low && (this.#events[high - 1]?.seq ?? 0) <= seq) return undefined;
    if (high - low > 1 && (this.#events[high - 2]?.seq ?? 0) <= seq) return this.#events[high - 1];
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#events[middle]?.seq ?? 0) > seq) high = middle;
      else low = middle + 1;
    }
    return this.#events[low];
  }
}
