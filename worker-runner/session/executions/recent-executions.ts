/** Owns which execution ids a session remembers, so that nothing runs twice, and whose events can still be repeated. */
import type { ExecutionId } from "../../../src/protocol/identity.ts";
import type { Execution } from "./execution.ts";

export class RecentExecutions {
  readonly #maxEnded: number;
  readonly #maxBytes: number;
  readonly #known = new Map<ExecutionId, Execution>();
  /** Ended executions, the oldest first. Those from `#withEvents` on still have their events. */
  readonly #ended: Execution[] = [];
  #withEvents = 0;
  #bytes = 0;

  constructor(maxEnded: number, maxBytes: number) {
    this.#maxEnded = maxEnded;
    this.#maxBytes = maxBytes;
  }

  get(id: ExecutionId): Execution | undefined {
    return this.#known.get(id);
  }

  add(execution: Execution): void {
    this.#known.set(execution.id, execution);
  }

  /** From now on the execution may be forgotten. */
  noteEnded(execution: Execution): void {
    this.#ended.push(execution);
    this.#bytes += execution.events.bytes;
    while (this.#bytes > this.#maxBytes && this.#withEvents < this.#ended.length) this.#dropEvents();
    if (this.#ended.length <= this.#maxEnded) return;
    if (this.#withEvents === 0) this.#dropEvents();
    const forgotten = this.#ended.shift();
    this.#withEvents -= 1;
    if (forgotten) this.#known.delete(forgotten.id);
  }

  #dropEvents(): void {
    const oldest = this.#ended[this.#withEvents];
    this.#withEvents += 1;
    if (!oldest) return;
    this.#bytes -= oldest.events.bytes;
    oldest.events.forgetEvents();
  }
}
