/** Owns the order in which a session's state is used: one turn at a time, in the order of the requests. */
import type { ExecutionId } from "../../src/protocol/identity.ts";
import { SessionError } from "./session-error.ts";

/** A piece of work that needs the state exclusively. */
export interface Turn {
  /** The execution's id, or null if this is no execution. */
  readonly executionId: ExecutionId | null;
  /** Begins. The turn must call the queue's `end` exactly once. */
  begin(): void;
  /** The session ends. The turn may have begun or not; it need not call `end` any more. */
  abandon(): void;
}

export class TurnQueue {
  readonly #mayBegin: (turn: Turn) => boolean;
  readonly #onChange: (isIdle: boolean) => void;
  #waiting: Turn[] = [];
  #current: Turn | null = null;
  #isClosed = false;

  /**
   * @param mayBegin false holds the queue at this turn until the next `pulse`.
   * @param onChange is called when the first turn comes and when the last one is over.
   */
  constructor(mayBegin: (turn: Turn) => boolean, onChange: (isIdle: boolean) => void) {
    this.#mayBegin = mayBegin;
    this.#onChange = onChange;
  }

  get isIdle(): boolean {
    return this.#current === null && this.#waiting.length === 0;
  }

  get hasWaiting(): boolean {
    return this.#waiting.length > 0;
  }

  get waitingExecutions(): ExecutionId[] {
    return this.#waiting.flatMap((turn) => turn.executionId ?? []);
  }

  get executionCount(): number {
    let count = 0;
    for (const turn of this.#waiting) if (turn.executionId !== null) count += 1;
    return count;
  }

  /** @param isUrgent puts it before all waiting turns. */
  push(turn: Turn, isUrgent = false): void {
    if (this.#isClosed) {
      turn.abandon();
      return;
    }
    if (this.isIdle) this.#onChange(false);
    if (isUrgent) this.#waiting.unshift(turn);
    else this.#waiting.push(turn);
    this.pulse();
  }

  /** The current turn is over. */
  end(turn: Turn): void {
    if (this.#isClosed) return;
    if (this.#current !== turn) throw new Error("a turn ended that was not the current one");
    this.#current = null;
    this.pulse();
    if (this.isIdle) this.#onChange(true);
  }

  /** Takes a waiting turn out. @returns false if it is not waiting. */
  remove(turn: Turn): boolean {
    const index = this.#waiting.indexOf(turn);
    if (index < 0) return false;
    this.#waiting.splice(index, 1);
    if (this.isIdle) this.#onChange(true);
    return true;
  }

  /** Abandons the current turn and all waiting ones. No turn begins any more. */
  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    const turns = this.#current ? [this.#current, ...this.#waiting] : this.#waiting;
    this.#current = null;
    this.#waiting = [];
    for (const turn of turns) turn.abandon();
  }

  /**
   * Does `work` when its turn comes.
   *
   * @throws the error of `work`, or SessionError: `deadline` if it could not begin within `waitMs`, `ended`.
   */
  run<T>(work: () => Promise<T>, { isUrgent = false, waitMs = 0 } = {}): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      let patience: NodeJS.Timeout | undefined;
      const turn: Turn = {
        executionId: null,
        begin: () => {
          clearTimeout(patience);
          work()
            .then(resolve, reject)
            .finally(() => this.end(turn));
        },
        abandon: () => {
          clearTimeout(patience);
          reject(new SessionError("ended", "the session has ended"));
        },
      };
      this.push(turn, isUrgent);
      if (waitMs > 0 && this.#waiting.includes(turn)) {
        patience = setTimeout(() => {
          if (this.remove(turn)) reject(new SessionError("deadline", `the session was busy for ${waitMs} ms`));
        }, waitMs);
      }
    });
  }

  /** Begins the next turn if possible. Call it after every change that may allow it. */
  pulse(): void {
    const next = this.#waiting[0];
    if (this.#current || this.#isClosed || !next || !this.#mayBegin(next)) return;
    this.#waiting.shift();
    this.#current = next;
    next.begin();
  }
}
