/** Owns one reader's position in an execution's events. A reader that falls behind makes Python wait. */
import type { ExecutionEvent } from "../../../src/protocol/event.ts";
import { isTerminal } from "../../../src/protocol/event.ts";
import type { NumberedEvent } from "../session-contract.ts";
import type { OutputGate } from "./output-gate.ts";

const HOLD_ABOVE_BYTES = 4 * 1024 * 1024;
const RELEASE_BELOW_BYTES = 1024 * 1024;

type Next = IteratorResult<ExecutionEvent, undefined>;

export class EventIterator implements AsyncIterableIterator<ExecutionEvent, undefined> {
  readonly #gate: OutputGate;
  readonly #onLeave: () => void;
  #waiting: NumberedEvent[] = [];
  #at = 0;
  #bytes = 0;
  #isOver = false;
  #reader: ((next: Next) => void) | null = null;

  /** @param onLeave is called if the reader leaves before the terminal event. */
  constructor(gate: OutputGate, onLeave: () => void) {
    this.#gate = gate;
    this.#onLeave = onLeave;
  }

  push(event: NumberedEvent): void {
    if (this.#isOver) return;
    if (this.#reader) {
      const reader = this.#reader;
      this.#reader = null;
      reader(this.#deliver(event));
      return;
    }
    this.#waiting.push(event);
    this.#bytes += event.bytes;
    if (this.#bytes > HOLD_ABOVE_BYTES) this.#gate.hold(this);
  }

  next(): Promise<Next> {
    const event = this.#waiting[this.#at];
    if (event) {
      this.#at += 1;
      this.#bytes -= event.bytes;
      if (this.#at === this.#waiting.length) {
        this.#waiting = [];
        this.#at = 0;
      }
      if (this.#bytes < RELEASE_BELOW_BYTES) this.#gate.release(this);
      return Promise.resolve(this.#deliver(event));
    }
    if (this.#isOver) return Promise.resolve({ done: true, value: undefined });
    return new Promise((resolve) => {
      this.#reader = resolve;
    });
  }

  return(): Promise<Next> {
    const isEarly = !this.#isOver;
    this.#isOver = true;
    this.#waiting = [];
    this.#at = 0;
    this.#gate.release(this);
    this.#reader?.({ done: true, value: undefined });
    this.#reader = null;
    if (isEarly) this.#onLeave();
    return Promise.resolve({ done: true, value: undefined });
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  #deliver(event: NumberedEvent): Next {
    if (isTerminal(event.type)) this.#isOver = true;
    return { done: false, value: JSON.parse(event.frame) as ExecutionEvent };
  }
}
