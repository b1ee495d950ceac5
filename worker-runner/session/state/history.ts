/** Owns the history of a session's state since it was fresh or restored: the executions that changed it, and the checkpoint before them. */
import type { CheckpointId, ExecutionId } from "../../../src/protocol/identity.ts";
import type { Blob } from "./blob-files.ts";

/** A checkpoint whose blob is outside the sandbox, so that it survives the sandbox. The history holds the blob of its base. */
export interface Base {
  checkpointId: CheckpointId;
  blob: Blob;
}

/** A moment in a session's history. */
export interface Place {
  lineage: number;
  changes: number;
}

/** At most this many executions are listed as lost, the latest ones. */
const MAX_LISTED = 1_000;

export class History {
  #lineage = 0;
  #changes = 0;
  #base: Base | null = null;
  #baseAt = 0;
  /** The executions that changed the state since the base, the oldest first; null for a change by something else. */
  #since: (ExecutionId | null)[] = [];

  get base(): Base | null {
    return this.#base;
  }

  /** The present moment. Two states with different `lineage` did not develop from each other. */
  get place(): Place {
    return { lineage: this.#lineage, changes: this.#changes };
  }

  /** Whether the present state developed from the one of that place. */
  continues({ lineage }: Place): boolean {
    return lineage === this.#lineage;
  }

  note(executionId: ExecutionId | null): void {
    this.#changes += 1;
    this.#since.push(executionId);
    if (this.#since.length > 2 * MAX_LISTED) this.#since = this.#since.slice(-MAX_LISTED);
  }

  /** Starts a new history, from `base` or from a fresh interpreter. */
  begin(base: Base | null): void {
    this.#lineage += 1;
    this.#changes = 0;
    this.#replaceBase(base);
    this.#baseAt = 0;
    this.#since = [];
  }

  /** The state is now that of an earlier moment. @returns the executions that it lacks. */
  goBack(changes: number): ExecutionId[] {
    const lost = this.#since.splice(this.#indexOf(changes));
    this.#changes = changes;
    this.#lineage += 1;
    return namesOf(lost);
  }

  /** A client has gone back to an earlier moment. A base taken after that moment does not lead there, so it is dropped. */
  undo(changes: number): void {
    this.goBack(changes);
    if (this.#baseAt > changes) this.#replaceBase(null);
    this.#baseAt = Math.min(this.#baseAt, changes);
  }

  /** Executions whose changes the base lacks. */
  get sinceBase(): ExecutionId[] {
    return namesOf(this.#since.slice(-MAX_LISTED));
  }

  /** The blob of a checkpoint taken at `place` is complete. It is ignored if its state was abandoned or is older than the present base. */
  setBase(place: Place, base: Base): void {
    if (!this.continues(place) || place.changes < this.#baseAt) return;
    this.#since = this.#since.slice(this.#indexOf(place.changes));
    this.#replaceBase(base);
    this.#baseAt = place.changes;
  }

  dropBase(): void {
    this.#replaceBase(null);
  }

  #replaceBase(base: Base | null): void {
    const before = this.#base;
    this.#base = base;
    base?.blob.hold(this);
    if (before && before.blob !== base?.blob) before.blob.release(this);
  }

  /** The index in `#since` of the first change after `changes` changes. */
  #indexOf(changes: number): number {
    return Math.max(0, this.#since.length - (this.#changes - changes));
  }
}

function namesOf(changes: (ExecutionId | null)[]): ExecutionId[] {
  return changes.filter((change) => change !== null);
}
