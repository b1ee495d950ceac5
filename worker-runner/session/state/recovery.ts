/** Owns the way back: the interpreter in use, the copy to go back to before each execution, and what is left when that is gone. */
import type { StateAfterError } from "../../../src/protocol/event.ts";
import type { CheckpointId, ExecutionId } from "../../../src/protocol/identity.ts";
import { type Interpreter, SnapshotDeclined } from "../../interpreter/interpreter.ts";
import type { Snapshot } from "../../interpreter/snapshot.ts";
import { SessionError } from "../session-error.ts";
import type { SessionSettings } from "../session-options.ts";
import { type Base, History, type Place } from "./history.ts";
import type { Snapshots } from "./snapshots.ts";
import { TokenBucket } from "./token-bucket.ts";

/** A state that can be had again at once: that of a fresh interpreter, or of the copy that the registry holds for recovery. */
interface Copy {
  kind: "fresh" | "snapshot";
  /** How many changes the state had seen. */
  at: number;
}

/** What the state is after it was brought back. */
export interface BroughtBack {
  state: Extract<StateAfterError, "recovered" | "restored" | "fresh">;
  checkpointId?: CheckpointId;
  lostExecutions?: ExecutionId[];
}

const START_ATTEMPTS = 3;
/** After a burst: how long nothing must have ended before the postponed copy is taken. */
const QUIET_MS = 10;

export interface RecoveryDuties {
  startInterpreter(): Promise<Interpreter>;
  settings: SessionSettings;
  snapshots: Snapshots;
  /** Whether nothing runs or waits. */
  isAtRest(): boolean;
}

export class Recovery {
  readonly #duties: RecoveryDuties;
  readonly #tokens: TokenBucket;
  #interpreter: Interpreter | null = null;
  readonly #history = new History();
  #copy: Copy | null = { kind: "fresh", at: 0 };
  /** The newest copy asked for; resolves when it is there or will not be, and never rejects. */
  #taking: Promise<void> | null = null;
  #quiet: NodeJS.Timeout | undefined;

  constructor(duties: RecoveryDuties) {
    this.#duties = duties;
    this.#tokens = new TokenBucket(duties.settings.recoveryCopiesBurst, duties.settings.recoveryCopiesPerSecond);
  }

  /** Starts the first interpreter. */
  async start(): Promise<void> {
    this.#interpreter = await this.#duties.startInterpreter();
  }

  /** Ends the interpreter in use. */
  async close(): Promise<void> {
    clearTimeout(this.#quiet);
    await this.#interpreter?.close();
  }

  /** The interpreter in use; another one after a loss. */
  get interpreter(): Interpreter {
    if (!this.#interpreter) throw new Error("not started");
    return this.#interpreter;
  }

  /** True where the next `bringBack` would lead to exactly the present state of rest. */
  get hasPoint(): boolean {
    return this.#copy?.at === this.#history.place.changes;
  }

  /** Makes sure that the present state of rest can be brought back, however large it is. @throws SessionError `checkpoint_failed`. */
  async ensurePoint(): Promise<void> {
    await this.#takenAndThere();
    if (!this.hasPoint) await this.copyNow();
  }

  /** Waits for a copy that is on its way, and makes sure that a copy which is relied upon has not ended in its sleep. */
  async #takenAndThere(): Promise<void> {
    if (!this.hasPoint) await this.#taking;
    if (this.#copy?.kind === "snapshot") await this.interpreter.countSnapshots();
  }

  /**
   * A copy of the state of rest, for recovery too. One that is there already will do, unless threads may have changed the state
   * since.
   *
   * @throws SessionError `checkpoint_failed`.
   */
  async copyNow(): Promise<{ snapshot: Snapshot; isNew: boolean }> {
    await this.#taking;
    await this.#takenAndThere();
    const { snapshots } = this.#duties;
    const present = this.hasPoint ? snapshots.recovery : null;
    if (present?.isAlive && present.threads.length === 0) return { snapshot: present, isNew: false };
    await this.#take(null);
    const taken = this.hasPoint ? snapshots.recovery : null;
    if (!taken) throw new SessionError("checkpoint_failed", "the interpreter's state could not be copied");
    return { snapshot: taken, isNew: true };
  }

  /** The state of rest has changed: asks for a copy of it. What is sent to the interpreter afterwards happens after the copy. */
  noteChange(executionId: ExecutionId | null): void {
    this.#history.note(executionId);
    const limit = this.#duties.settings.recoveryMaxResidentBytes;
    if (limit === 0) this.#giveUp();
    else if (this.#tokens.take()) void this.#take(limit);
    else this.#postpone(limit);
  }

  /** Executions come faster than copies may be taken: the last one stays for now, and a new one is taken once there is time. */
  #postpone(limit: number): void {
    clearTimeout(this.#quiet);
    this.#quiet = setTimeout(() => {
      if (!this.hasPoint && this.#duties.isAtRest() && this.interpreter.live) void this.#take(limit);
    }, QUIET_MS);
  }

  #take(maxResidentBytes: number | null): Promise<void> {
    const { interpreter } = this;
    const { snapshots, settings } = this.#duties;
    const { live } = interpreter;
    const place = this.#history.place;
    clearTimeout(this.#quiet);
    const taking = interpreter.takeSnapshot(maxResidentBytes).then(
      (snapshot) => {
        // Copies that cross each other arrive in any order; those of a state that was left are of no use.
        if (!this.#history.continues(place) || (this.#copy && this.#copy.at > place.changes)) {
          snapshot.drop();
          return;
        }
        snapshots.setRecovery(snapshot);
        this.#copy = { kind: "snapshot", at: place.changes };
        settings.metrics.recoverySnapshot?.(snapshot.pause);
      },
      (error: Error) => {
        settings.metrics.recoverySnapshot?.(null);
        if (!this.#history.continues(place)) return;
        // Where only a process is missing, the copy before is still better than none.
        if (error instanceof SnapshotDeclined) {
          if (error.isTooLarge) this.#giveUp();
          return;
        }
        // It neither answers nor ends: user code hangs in a hook of fork.
        if (interpreter.live === live && live?.isConnected) interpreter.killLive();
      },
    );
    this.#taking = taking;
    return taking;
  }

  #giveUp(): void {
    this.#copy = null;
    this.#duties.snapshots.setRecovery(null);
  }

  /** The copy to go back to died by itself. */
  noteSnapshotLost(): void {
    if (this.#copy?.kind === "snapshot" && !this.#duties.snapshots.recovery) this.#copy = null;
  }

  /** The present state is that of the snapshot that the registry holds for recovery, if it holds one. */
  noteRestored(base: Base | null): void {
    this.#begin(base, this.#duties.snapshots.recovery ? "snapshot" : null);
  }

  /** The present state was loaded from a blob. */
  async noteLoaded(base: Base): Promise<void> {
    this.#duties.snapshots.setRecovery(null);
    this.#begin(base, null);
    await this.#take(this.#duties.settings.recoveryMaxResidentBytes);
  }

  /** The present state is that of a fresh interpreter. */
  noteFresh(): void {
    this.#duties.snapshots.setRecovery(null);
    this.#begin(null, "fresh");
  }

  /** The history begins anew. */
  #begin(base: Base | null, copy: Copy["kind"] | null): void {
    clearTimeout(this.#quiet);
    this.#history.begin(base);
    this.#copy = copy && { kind: copy, at: 0 };
  }

  get place(): Place {
    return this.#history.place;
  }

  /** The blob of a checkpoint taken at `place` is there: a loss would be recovered from it. */
  setBase(place: Place, base: Base): void {
    this.#history.setBase(place, base);
  }

  /** The checkpoint that a loss would be recovered from. */
  get baseId(): CheckpointId | null {
    return this.#history.base?.checkpointId ?? null;
  }

  dropBase(checkpointId: CheckpointId): void {
    if (this.baseId === checkpointId) this.#history.dropBase();
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
      // Copies are worth most to a session that has just needed one.
      this.#tokens.refill();
      metrics.stateReplaced?.(back.state, (performance.now() - startedAt) / 1000);
      return back;
    } catch (error) {
      metrics.stateReplaced?.("lost", (performance.now() - startedAt) / 1000);
      throw error;
    }
  }

  async #bringBack(): Promise<BroughtBack> {
    if (!this.hasPoint) await this.#taking;
    clearTimeout(this.#quiet);
    const isExact = this.hasPoint;
    const wasFresh = this.#copy?.kind === "fresh" && isExact;
    const { recovery: snapshot } = this.#duties.snapshots;
    if (this.interpreter.isUsable && this.#copy && (wasFresh || (this.#copy.kind === "snapshot" && snapshot))) {
      try {
        await this.interpreter.respawn(wasFresh ? null : snapshot);
        if (isExact) return { state: "recovered" };
        return { state: "restored", lostExecutions: this.#history.goBack(this.#copy.at) };
      } catch {
        this.#giveUp();
      }
    }
    const back = await this.#fallBack();
    return wasFresh && back.state === "fresh" ? { state: "recovered" } : back;
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
    const { base, sinceBase: lostExecutions } = this.#history;
    const snapshot = this.interpreter.isUsable && base ? this.#duties.snapshots.use(base.checkpointId) : null;
    if (this.interpreter.isUsable) await this.interpreter.respawn(snapshot);
    else await this.#replaceInterpreter();
    if (base && snapshot) {
      this.#duties.snapshots.setRecovery(snapshot);
      this.noteRestored(base);
      return { state: "restored", checkpointId: base.checkpointId, lostExecutions };
    }
    if (base) {
      // Should it fail, the next attempt does without.
      this.#history.dropBase();
      const answer = await this.interpreter.live?.load(
        base.blobPath,
        true,
        this.#duties.settings.interpreter.loadDeadlineMs,
      );
      if (answer?.type !== "loaded") throw new Error(`checkpoint ${base.checkpointId} could not be loaded`);
      await this.noteLoaded(base);
      return { state: "restored", checkpointId: base.checkpointId, lostExecutions };
    }
    this.noteFresh();
    return { state: "fresh" };
  }

  async #replaceInterpreter(): Promise<void> {
    this.#duties.snapshots.clear();
    await this.interpreter.close();
    this.#interpreter = await this.#duties.startInterpreter();
  }
}
