/** Owns the way back: the interpreter in use, the copy to go back to before each execution, and what is left when that is gone. */
import type { StateAfterError } from "../../src/protocol/event.ts";
import type { CheckpointId, ExecutionId } from "../../src/protocol/identity.ts";
import type { SnapshotProcess } from "../interpreter/snapshot-process.ts";
import { type Interpreter, SnapshotDeclined } from "../interpreter.ts";
import { SessionError } from "../session-error.ts";
import type { SessionSettings } from "../session-options.ts";
import type { Snapshots } from "./snapshots.ts";

/** Where the session would go back to now. */
type RecoveryPoint =
  /** Nothing has happened since the interpreter was fresh. */
  | { kind: "fresh" }
  /** Asked for; `answer` resolves when the point is another one, and never rejects. */
  | { kind: "taking"; answer: Promise<void> }
  /** The copy is in the registry of snapshots. */
  | { kind: "snapshot" }
  /** The live process ended before it could be copied; the copy before the last execution is still there. */
  | { kind: "older" }
  | { kind: "none" };

/** What the state is after it was brought back. */
export interface BroughtBack {
  state: Extract<StateAfterError, "recovered" | "restored" | "fresh">;
  checkpointId?: CheckpointId;
  lostExecutions?: ExecutionId[];
}

/** A checkpoint whose blob is outside the sandbox. */
interface Base {
  checkpointId: CheckpointId;
  blobPath: string;
}

/** Where in the session's history a checkpoint was taken. */
export interface Place {
  lineage: number;
  executions: number;
}

const MAX_LISTED = 1_000;
const START_ATTEMPTS = 3;

export interface RecoveryDuties {
  startInterpreter(): Promise<Interpreter>;
  settings: SessionSettings;
  snapshots: Snapshots;
}

export class Recovery {
  readonly #duties: RecoveryDuties;
  #interpreter: Interpreter | null = null;
  #point: RecoveryPoint = { kind: "fresh" };
  #base: Base | null = null;
  /** Executions whose effects came after the base, the oldest first. */
  #since: ExecutionId[] = [];
  #lineage = 0;

  constructor(duties: RecoveryDuties) {
    this.#duties = duties;
  }

  /** Starts the first interpreter. */
  async start(): Promise<void> {
    this.#interpreter = await this.#duties.startInterpreter();
  }

  /** Ends the interpreter in use. */
  async close(): Promise<void> {
    await this.#interpreter?.close();
  }

  /** The interpreter in use; another one after a loss. */
  get interpreter(): Interpreter {
    if (!this.#interpreter) throw new Error("not started");
    return this.#interpreter;
  }

  /** True where the next `bringBack` would lead to exactly the present state of rest. */
  get hasPoint(): boolean {
    return this.#point.kind === "fresh" || this.#point.kind === "snapshot";
  }

  /** Makes sure that the present state of rest can be brought back, however large it is. @throws SessionError `checkpoint_failed`. */
  async ensurePoint(): Promise<void> {
    if (this.#point.kind === "taking") await this.#point.answer;
    if (!this.hasPoint) await this.copyNow();
  }

  /**
   * A copy of the state of rest, for recovery too. One that is there already will do, unless threads may have changed the state
   * since.
   *
   * @throws SessionError `checkpoint_failed`.
   */
  async copyNow(): Promise<{ snapshot: SnapshotProcess; isNew: boolean }> {
    if (this.#point.kind === "taking") await this.#point.answer;
    const { snapshots } = this.#duties;
    const present = this.#point.kind === "snapshot" ? snapshots.recovery : null;
    if (present?.isAlive && present.threads.length === 0) return { snapshot: present, isNew: false };
    await this.#take(null);
    const taken = this.#point.kind === "snapshot" ? snapshots.recovery : null;
    if (!taken) throw new SessionError("checkpoint_failed", "the interpreter's state could not be copied");
    return { snapshot: taken, isNew: true };
  }

  /** The state of rest has changed: asks for a copy of it. What is sent to the interpreter afterwards happens after the copy. */
  noteChange(executionId: ExecutionId | null): void {
    if (executionId !== null) {
      this.#since.push(executionId);
      if (this.#since.length > 2 * MAX_LISTED) this.#since = this.#since.slice(-MAX_LISTED);
    }
    const limit = this.#duties.settings.recoveryMaxResidentBytes;
    if (limit > 0) void this.#take(limit);
    else this.#giveUp();
  }

  #take(maxResidentBytes: number | null): Promise<void> {
    const { interpreter } = this;
    const { settings, snapshots } = this.#duties;
    const answer = interpreter.takeSnapshot(maxResidentBytes).then(
      (snapshot) => {
        if (this.#point !== taking) {
          snapshot.drop();
          return;
        }
        snapshots.setRecovery(snapshot);
        this.#point = { kind: "snapshot" };
        settings.metrics.recoverySnapshot?.(snapshot.pause);
      },
      (error: Error) => {
        if (this.#point !== taking) return;
        settings.metrics.recoverySnapshot?.(null);
        if (error instanceof SnapshotDeclined) {
          this.#giveUp();
          return;
        }
        this.#point = snapshots.recovery ? { kind: "older" } : { kind: "none" };
        // It neither answers nor ends: user code hangs in a hook of fork.
        if (interpreter.live) interpreter.killLive();
      },
    );
    const taking: RecoveryPoint = { kind: "taking", answer };
    this.#point = taking;
    return answer;
  }

  #giveUp(): void {
    this.#point = { kind: "none" };
    this.#duties.snapshots.setRecovery(null);
  }

  /** The copy to go back to died by itself. */
  noteSnapshotLost(): void {
    if ((this.#point.kind === "snapshot" || this.#point.kind === "older") && !this.#duties.snapshots.recovery) {
      this.#point = { kind: "none" };
    }
  }

  /** The present state is that of this snapshot, which the registry holds for recovery. */
  noteRestored(base: Base | null): void {
    this.#lineage += 1;
    this.#base = base;
    this.#since = [];
    this.#point = { kind: this.#duties.snapshots.recovery ? "snapshot" : "none" };
  }

  /** The present state was loaded from a blob. */
  async noteLoaded(base: Base): Promise<void> {
    this.#duties.snapshots.setRecovery(null);
    this.noteRestored(base);
    await this.#take(this.#duties.settings.recoveryMaxResidentBytes);
  }

  /** The present state is that of a fresh interpreter. */
  noteFresh(): void {
    this.#lineage += 1;
    this.#base = null;
    this.#since = [];
    this.#duties.snapshots.setRecovery(null);
    this.#point = { kind: "fresh" };
  }

  get place(): Place {
    return { lineage: this.#lineage, executions: this.#since.length };
  }

  /** The blob of a checkpoint taken at `place` is there. */
  setBase(place: Place, base: Base): void {
    if (place.lineage !== this.#lineage) return;
    this.#since = this.#since.slice(place.executions);
    this.#base = base;
    this.#lineage += 1;
  }

  /** The checkpoint that a loss would be recovered from. */
  get baseId(): CheckpointId | null {
    return this.#base?.checkpointId ?? null;
  }

  dropBase(checkpointId: CheckpointId): void {
    if (this.#base?.checkpointId === checkpointId) this.#base = null;
  }

  /**
   * Ends the live process, if there is one, and brings the state of rest back, as good as it can be had.
   *
   * @throws SessionError `interpreter_failed` where not even a fresh interpreter can be started.
   */
  async bringBack(): Promise<BroughtBack> {
    const startedAt = performance.now();
    const { metrics } = this.#duties.settings;
    try {
      const back = await this.#bringBack();
      metrics.stateReplaced?.(back.state, (performance.now() - startedAt) / 1000);
      return back;
    } catch (error) {
      metrics.stateReplaced?.("lost", (performance.now() - startedAt) / 1000);
      throw error;
    }
  }

  async #bringBack(): Promise<BroughtBack> {
    if (this.#point.kind === "taking") await this.#point.answer;
    const { snapshots } = this.#duties;
    const isFresh = this.#point.kind === "fresh";
    if (this.interpreter.isUsable && (isFresh || snapshots.recovery)) {
      const isOlder = this.#point.kind === "older";
      try {
        await this.interpreter.respawn(isFresh ? null : snapshots.recovery);
        this.#point = { kind: isFresh ? "fresh" : "snapshot" };
        if (!isOlder) return { state: "recovered" };
        return { state: "restored", lostExecutions: this.#since.splice(-1) };
      } catch {
        this.#giveUp();
      }
    }
    const back = await this.#fallBack();
    return isFresh && back.state === "fresh" ? { state: "recovered" } : back;
  }

  /** Goes back to the last checkpoint, or to nothing. */
  async #fallBack(): Promise<BroughtBack> {
    let failure: unknown;
    for (let attempt = 0; attempt < START_ATTEMPTS; attempt += 1) {
      try {
        return await this.#startOver();
      } catch (error) {
        failure = error;
      }
    }
    throw new SessionError("interpreter_failed", "no interpreter could be started", { cause: failure });
  }

  async #startOver(): Promise<BroughtBack> {
    const base = this.#base;
    const snapshot = this.interpreter.isUsable && base ? this.#duties.snapshots.use(base.checkpointId) : null;
    if (this.interpreter.isUsable) await this.interpreter.respawn(snapshot);
    else await this.#replaceInterpreter();
    const lostExecutions = this.#since.slice(-MAX_LISTED);
    if (base && snapshot) {
      this.#duties.snapshots.setRecovery(snapshot);
      this.noteRestored(base);
      return { state: "restored", checkpointId: base.checkpointId, lostExecutions };
    }
    if (base && (await this.#loadBase(base))) {
      await this.noteLoaded(base);
      return { state: "restored", checkpointId: base.checkpointId, lostExecutions };
    }
    this.noteFresh();
    return { state: "fresh" };
  }

  async #loadBase(base: Base): Promise<boolean> {
    const { loadDeadlineMs } = this.#duties.settings.interpreter;
    const { live } = this.interpreter;
    const answer = await live?.load(base.blobPath, true, loadDeadlineMs);
    return answer?.type === "loaded";
  }

  async #replaceInterpreter(): Promise<void> {
    this.#duties.snapshots.clear();
    await this.interpreter.close();
    this.#interpreter = await this.#duties.startInterpreter();
  }
}
