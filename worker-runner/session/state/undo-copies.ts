/** Owns the states before the latest executions that can be brought back: a frozen copy of each, or that it was the fresh state. */
import type { ExecutionId } from "../../../src/protocol/identity.ts";
import type { Snapshot } from "../../interpreter/snapshot.ts";

/** The state right before one execution. */
export interface StateBefore {
  executionId: ExecutionId;
  /** null: the state of a fresh interpreter. */
  snapshot: Snapshot | null;
  /** How many changes the state had seen. */
  at: number;
}

export const MAX_UNDO = 8;

export class UndoCopies {
  /** The oldest first. */
  #states: StateBefore[] = [];

  /** The executions whose state before is kept, newest first. */
  get executions(): ExecutionId[] {
    return this.#states.map(({ executionId }) => executionId).reverse();
  }

  get snapshots(): Snapshot[] {
    return this.#states.flatMap(({ snapshot }) => snapshot ?? []);
  }

  has(snapshot: Snapshot): boolean {
    return this.#states.some((state) => state.snapshot === snapshot);
  }

  /** `copy`, of the same state, takes the place of `before`. */
  replace(before: Snapshot, copy: Snapshot): void {
    this.#states = this.#states.map((state) => (state.snapshot === before ? { ...state, snapshot: copy } : state));
  }

  /** @returns the copy that is kept no longer, if there is one. */
  add(state: StateBefore): Snapshot | null {
    this.#states.push(state);
    return this.#states.length > MAX_UNDO ? this.dropOldest() : null;
  }

  /** The state before that execution, or before the latest one. */
  find(executionId: ExecutionId | null): StateBefore | null {
    if (executionId === null) return this.#states.at(-1) ?? null;
    return this.#states.find((state) => state.executionId === executionId) ?? null;
  }

  /** Forgets the oldest state. @returns its copy. */
  dropOldest(): Snapshot | null {
    return this.#states.shift()?.snapshot ?? null;
  }

  /** Forgets the states of the present history that had seen `changes` changes or more. @returns their copies. */
  dropFrom(changes: number): Snapshot[] {
    const dropped = this.#states.filter(({ at }) => at >= changes);
    this.#states = this.#states.filter(({ at }) => at < changes);
    return dropped.flatMap(({ snapshot }) => snapshot ?? []);
  }

  /** The copy has died. */
  noteEnded(snapshot: Snapshot): void {
    this.#states = this.#states.filter((state) => state.snapshot !== snapshot);
  }
}
