/** Owns what has happened to a session's state since it was fresh or restored: how many changes, by which executions, after which base. */
import type { CheckpointId, ExecutionId } from "../../../src/protocol/identity.ts";

/** A checkpoint whose blob is outside the sandbox: what is left when everything inside is lost. */
export interface Base {
  checkpointId: CheckpointId;
  blobPath: string;
}

/** A moment in a session's history. */
export interface Place {
  lineage: number;
  changes: number;
}

/** Executions are listed as lost up to this many, the latest. */
const MAX_LISTED = 1_000;

export class History {
  #lineage = 0;
  #changes = 0;
  #base: Base | null = null;
  #baseAt = 0;
  /** What changed the state since the base, the oldest first; null for what was no execution. */
  #since: (ExecutionId | null)[] = [];

  get base(): Base | null {
    return this.#base;
  }

  /** Now. Where `lineage` differs, the one state did not come from the other. */
  get place(): Place {
    return { lineage: this.#lineage, changes: this.#changes };
  }

  /** Whether the present state came from the one of that place. */
  continues({ lineage }: Place): boolean {
    return lineage === this.#lineage;
  }

  note(executionId: ExecutionId | null): void {
    this.#changes += 1;
    this.#since.push(executionId);
    if (this.#since.length > 2 * MAX_LISTED) this.#since = this.#since.slice(-MAX_LISTED);
  }

  /** Begins anew, from `base` or from nothing. */
  begin(base: Base | null): void {
    this.#lineage += 1;
    this.#changes = 0;
    this.#base = base;
    this.#baseAt = 0;
    this.#since = [];
  }

  /** The state is that of an earlier moment. @returns the executions that it lacks. */
  goBack(changes: number): ExecutionId[] {
    const lost = this.#since.splice(this.#indexOf(changes));
    this.#changes = changes;
    this.#lineage += 1;
    return namesOf(lost);
  }

  /** Executions that the base lacks. */
  get sinceBase(): ExecutionId[] {
    return namesOf(this.#since.slice(-MAX_LISTED));
  }

  /** The blob of a checkpoint taken at `place` is there. One of a state that was left, or older than the present base, is no base. */
  setBase(place: Place, base: Base): void {
    if (!this.continues(place) || place.changes < this.#baseAt) return;
    this.#since = this.#since.slice(this.#indexOf(place.changes));
    this.#base = base;
    this.#baseAt = place.changes;
  }

  dropBase(): void {
    this.#base = null;
  }

  /** Where in `#since` what came after so many changes begins. */
  #indexOf(changes: number): number {
    return Math.max(0, this.#since.length - (this.#changes - changes));
  }
}

function namesOf(changes: (ExecutionId | null)[]): ExecutionId[] {
  return changes.filter((change) => change !== null);
}
