/** Owns which frozen copies are kept: one for recovery, those of checkpoints, and those for undo. The least recently used are ended first. */
import type { CheckpointId, ExecutionId } from "../../../src/protocol/identity.ts";
import type { Snapshot } from "../../interpreter/snapshot.ts";
import { type StateBefore, UndoCopies } from "./undo-copies.ts";

export class Snapshots {
  readonly #max: number;
  #recovery: Snapshot | null = null;
  /** In order of use, the least recent first. */
  readonly #ofCheckpoint = new Map<CheckpointId, Snapshot>();
  /** Copies that are being written to a blob. They are not ended. */
  readonly #pinned = new Set<Snapshot>();
  readonly #undo = new UndoCopies();

  /** @param max the most copies at a time, including the one for recovery. Those for undo take what is left of it, and one more. */
  constructor(max: number) {
    this.#max = Math.max(1, max);
  }

  get count(): number {
    return this.#all().size;
  }

  get recovery(): Snapshot | null {
    return this.#recovery;
  }

  /** Makes this copy the one for recovery. The former one is dropped unless a checkpoint needs it. */
  setRecovery(snapshot: Snapshot | null): void {
    const before = this.#recovery;
    this.#recovery = snapshot;
    if (before && before !== snapshot) this.#dropUnused(before);
    this.#trim();
  }

  /** The executions whose state before is kept, newest first. */
  get undoable(): ExecutionId[] {
    return this.#undo.executions;
  }

  /** Keeps the state before an execution. */
  keepForUndo(state: StateBefore): void {
    const former = this.#undo.add(state);
    if (former) this.#dropUnused(former);
    this.#trim();
  }

  stateBefore(executionId: ExecutionId | null): StateBefore | null {
    return this.#undo.find(executionId);
  }

  /** The states that had seen `changes` changes or more are not part of the history any more. */
  forgetUndoFrom(changes: number): void {
    for (const snapshot of this.#undo.dropFrom(changes)) this.#dropUnused(snapshot);
  }

  keep(checkpointId: CheckpointId, snapshot: Snapshot): void {
    this.forget(checkpointId);
    this.#ofCheckpoint.set(checkpointId, snapshot);
    this.#trim();
  }

  /** The checkpoint's copy, or null if it is gone. The call counts as a use. */
  use(checkpointId: CheckpointId): Snapshot | null {
    const snapshot = this.#ofCheckpoint.get(checkpointId);
    if (!snapshot?.isAlive) return null;
    this.#ofCheckpoint.delete(checkpointId);
    this.#ofCheckpoint.set(checkpointId, snapshot);
    return snapshot;
  }

  forget(checkpointId: CheckpointId): void {
    const snapshot = this.#ofCheckpoint.get(checkpointId);
    this.#ofCheckpoint.delete(checkpointId);
    if (snapshot) this.#dropUnused(snapshot);
  }

  pin(snapshot: Snapshot): void {
    this.#pinned.add(snapshot);
  }

  unpin(snapshot: Snapshot): void {
    this.#pinned.delete(snapshot);
    this.#dropUnused(snapshot);
    this.#trim();
  }

  isPinned(snapshot: Snapshot): boolean {
    return this.#pinned.has(snapshot);
  }

  /** `copy`, of the same state, takes the place of `before`. */
  replace(before: Snapshot, copy: Snapshot): void {
    if (this.#recovery === before) this.#recovery = copy;
    for (const [checkpointId, kept] of this.#ofCheckpoint) {
      if (kept === before) this.#ofCheckpoint.set(checkpointId, copy);
    }
    this.#undo.replace(before, copy);
    this.#dropUnused(before);
  }

  /** The copy has died. */
  noteEnded(snapshot: Snapshot): void {
    if (this.#recovery === snapshot) this.#recovery = null;
    this.#pinned.delete(snapshot);
    this.#undo.noteEnded(snapshot);
    for (const [checkpointId, kept] of this.#ofCheckpoint) {
      if (kept === snapshot) this.#ofCheckpoint.delete(checkpointId);
    }
  }

  /** Drops the least recently used copy that only a checkpoint needs. @returns false if there is none. */
  evictOne(): boolean {
    for (const [checkpointId, snapshot] of this.#ofCheckpoint) {
      if (snapshot === this.#recovery || this.#pinned.has(snapshot)) continue;
      this.forget(checkpointId);
      return true;
    }
    return false;
  }

  /** Drops all copies, because their sandbox is gone. */
  clear(): void {
    const all = new Set([...this.#all(), ...this.#undo.snapshots]);
    this.#recovery = null;
    this.#undo.dropFrom(0);
    this.#ofCheckpoint.clear();
    this.#pinned.clear();
    for (const snapshot of all) snapshot.drop();
  }

  #all(): Set<Snapshot> {
    const all = new Set([...this.#ofCheckpoint.values(), ...this.#pinned]);
    if (this.#recovery) all.add(this.#recovery);
    return all;
  }

  #trim(): void {
    this.#trimUndo();
    if (this.#ofCheckpoint.size + this.#pinned.size + 1 <= this.#max) return;
    while (this.count > this.#max && this.evictOne());
  }

  /** Copies for undo give way to all others. */
  #trimUndo(): void {
    for (;;) {
      const { snapshots } = this.#undo;
      if (snapshots.length === 0 || new Set([...this.#all(), ...snapshots]).size <= this.#max + 1) return;
      this.#evictUndo();
    }
  }

  #evictUndo(): void {
    const oldest = this.#undo.dropOldest();
    if (oldest) this.#dropUnused(oldest);
  }

  #dropUnused(snapshot: Snapshot): void {
    if (!this.#undo.has(snapshot) && !this.#all().has(snapshot)) snapshot.drop();
  }
}
