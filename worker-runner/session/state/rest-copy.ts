/** Owns the copy that a session at rest gets: nothing runs after it, so it shares nearly all memory with the live process. */
import type { Snapshot } from "../../interpreter/snapshot.ts";

export interface RestingState {
  /** The copy of the present state, or null if there is none, or the session is busy. */
  findCopy(): Snapshot | null;
  /** Whether the copy is being written to a blob. */
  isInUse(copy: Snapshot): boolean;
  /** @returns a copy of the same state, after which nothing was rehearsed. @throws Error if it cannot be taken. */
  takeCopy(): Promise<Snapshot>;
  /** The copy takes the place of the one before, unless the state has changed meanwhile. */
  replace(before: Snapshot, copy: Snapshot): void;
}

export class RestCopy {
  readonly #afterMs: number;
  readonly #state: RestingState;
  #timer: NodeJS.Timeout | undefined;

  /** @param afterMs how long a session is unused before it counts as at rest; 0: it never does. */
  constructor(afterMs: number, state: RestingState) {
    this.#afterMs = afterMs;
    this.#state = state;
  }

  /** A copy was taken after an execution: the session rests from now on, until `cancel`. */
  begin(): void {
    this.cancel();
    if (this.#afterMs > 0) this.#timer = setTimeout(() => void this.#rest(), this.#afterMs);
  }

  cancel(): void {
    clearTimeout(this.#timer);
  }

  async #rest(): Promise<void> {
    const before = this.#state.findCopy();
    // Threads of user code may have changed the state since, so the copy stays as it is.
    if (before === null || before.threads.length > 0) return;
    if (this.#state.isInUse(before)) {
      this.begin();
      return;
    }
    try {
      this.#state.replace(before, await this.#state.takeCopy());
    } catch {
      // The copy before is still there.
    }
  }
}
