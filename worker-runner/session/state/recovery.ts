/** Owns recovering a lost state: the interpreter in use, the copy of its state, and the checkpoint to use if the copy is gone too. */
import type { StateAfterError } from "../../../src/protocol/event.ts";
import type { CheckpointId, ExecutionId } from "../../../src/protocol/identity.ts";
import { type Interpreter, SnapshotDeclined } from "../../interpreter/interpreter.ts";
import type { Snapshot } from "../../interpreter/snapshot.ts";
import type { SessionEvents } from "../events/session-events.ts";
import { SessionError } from "../session-error.ts";
import type { SessionSettings } from "../session-options.ts";
import type { TurnQueue } from "../turn-queue.ts";
import { CopySchedule, QUIET_MS } from "./copy-schedule.ts";
import { type Base, History, type Place } from "./history.ts";
import type { InterpreterSource } from "./interpreter-source.ts";
import { RestCopy } from "./rest-copy.ts";
import type { Snapshots } from "./snapshots.ts";
import type { StateBefore } from "./undo-copies.ts";

/** A state that can be recovered at once: that of a fresh interpreter, or that of the recovery snapshot. */
interface Copy {
  kind: "fresh" | "snapshot";
  /** How many changes the state had seen. */
  at: number;
}

/** The state after recovery. */
export interface BroughtBack {
  state: Extract<StateAfterError, "recovered" | "restored" | "fresh">;
  checkpointId?: CheckpointId;
  lostExecutions?: ExecutionId[];
}

const START_ATTEMPTS = 3;
/** Above this share of the memory limit, no copies are kept for undo: code needs the room. */
const UNDO_MEMORY_SHARE = 0.25;

export class Recovery {
  readonly #settings: SessionSettings;
  readonly #snapshots: Snapshots;
  readonly #source: InterpreterSource;
  readonly #queue: TurnQueue;
  readonly #events: SessionEvents;
  readonly #schedule: CopySchedule;
  readonly #rest: RestCopy;
  #interpreter: Interpreter | null = null;
  readonly #history = new History();
  #copy: Copy | null = { kind: "fresh", at: 0 };
  /** The newest copy that was requested. It resolves when the copy was taken or has failed, and never rejects. */
  #taking: Promise<void> | null = null;
  /** True while the memory is measured. */
  #easing = false;
  #quiet: NodeJS.Timeout | undefined;

  constructor(
    settings: SessionSettings,
    snapshots: Snapshots,
    source: InterpreterSource,
    queue: TurnQueue,
    events: SessionEvents,
  ) {
    this.#settings = settings;
    this.#snapshots = snapshots;
    this.#source = source;
    this.#queue = queue;
    this.#events = events;
    this.#schedule = new CopySchedule(settings.recoveryCopyShare, settings.recoveryCopiesBurst);
    this.#rest = new RestCopy(settings.restAfterMs, {
      findCopy: () => (this.hasPoint && queue.isIdle && this.interpreter.live ? snapshots.recovery : null),
      isInUse: (copy) => snapshots.isPinned(copy),
      takeCopy: () => this.interpreter.takeSnapshot(settings.recoveryMaxResidentBytes, { isResting: true }),
      replace: (before, copy) => {
        if (this.hasPoint && snapshots.recovery === before) snapshots.replace(before, copy);
        else copy.drop();
      },
    });
  }

  /** Starts the first interpreter. */
  async start(): Promise<void> {
    this.#interpreter = await this.#source.start();
  }

  /** Ends the interpreter in use. */
  async close(): Promise<void> {
    clearTimeout(this.#quiet);
    this.#rest.cancel();
    await this.#interpreter?.close();
  }

  /** The interpreter in use. After a loss it is another one. */
  get interpreter(): Interpreter {
    if (!this.#interpreter) throw new Error("not started");
    return this.#interpreter;
  }

  /** Whether the kernel has killed a process of the interpreter's sandbox for memory since the last call. */
  hasRunOutOfMemory(): Promise<boolean> {
    return this.#source.hasRunOutOfMemory(this.interpreter);
  }

  /** Starts a live process if there is none, and tells the listeners what became of the state. */
  async ensureLive(reason: string): Promise<void> {
    if (this.interpreter.isUsable && this.interpreter.live?.isConnected) return;
    this.tellReplaced(await this.bringBack(), reason);
  }

  /** Tells the listeners that the state was replaced between executions. */
  tellReplaced({ state, checkpointId }: BroughtBack, reason: string): void {
    const outcome = {
      recovered: "the state is as before",
      restored: checkpointId ? `the state is that of checkpoint ${checkpointId}` : "the last execution is lost",
      fresh: "the state is gone",
    }[state];
    this.#events.tellState("restored", `${reason}; ${outcome}`);
  }

  /** True if the next `bringBack` would lead to exactly the present state. */
  get hasPoint(): boolean {
    return this.#copy?.at === this.#history.place.changes;
  }

  /** Makes sure that the present state can be recovered, however large it is. @throws SessionError `checkpoint_failed`. */
  async ensurePoint(): Promise<void> {
    await this.#takenAndThere();
    if (!this.hasPoint) await this.copyNow();
  }

  /** Waits for a copy that was requested, then checks that the recovery snapshot is alive: it sleeps without a connection that would report its end. */
  async #takenAndThere(): Promise<void> {
    if (!this.hasPoint) await this.#taking;
    if (this.#copy?.kind === "snapshot") await this.interpreter.countSnapshots();
  }

  /**
   * A copy of the present state, which becomes the recovery snapshot. An existing copy is used unless threads may have changed the
   * state since.
   *
   * @throws SessionError `checkpoint_failed`.
   */
  async copyNow(): Promise<{ snapshot: Snapshot; isNew: boolean }> {
    await this.#taking;
    await this.#takenAndThere();
    const present = this.hasPoint ? this.#snapshots.recovery : null;
    if (present?.isAlive && present.threads.length === 0) return { snapshot: present, isNew: false };
    await this.#take(null);
    const taken = this.hasPoint ? this.#snapshots.recovery : null;
    if (!taken) throw new SessionError("checkpoint_failed", "the interpreter's state could not be copied");
    return { snapshot: taken, isNew: true };
  }

  /** An execution begins. */
  noteBegin(): void {
    this.#rest.cancel();
    this.#schedule.noteBegin();
  }

  /** An execution has changed the state: requests a copy. Messages that are sent to the interpreter later take effect after the copy. */
  noteChange(executionId: ExecutionId | null): void {
    this.#keepForUndo(executionId);
    this.#history.note(executionId);
    const limit = this.#settings.recoveryMaxResidentBytes;
    if (limit === 0) this.#giveUp();
    else if (this.#schedule.isDueAfterEnd(this.#queue.hasWaiting)) void this.#take(limit);
    else this.#postpone(limit);
  }

  /** Keeps the state before the execution, if it had a copy. */
  #keepForUndo(executionId: ExecutionId | null): void {
    if (executionId === null || this.#copy === null || !this.hasPoint) return;
    const { kind, at } = this.#copy;
    const { recovery } = this.#snapshots;
    if (kind === "snapshot" && recovery === null) return;
    this.#snapshots.keepForUndo({ executionId, snapshot: kind === "fresh" ? null : recovery, at });
  }

  /**
   * Brings back the state right before an execution, or before the last one that has a copy. Call it in the session's turn.
   *
   * @returns that execution.
   * @throws SessionError `undo_unavailable`; the state is then as before.
   */
  async undo(executionId: ExecutionId | null): Promise<ExecutionId> {
    await this.#taking;
    await this.ensureLive("the interpreter had ended");
    // Finds out which copies have died in their sleep.
    await this.interpreter.countSnapshots();
    const before = this.#snapshots.stateBefore(executionId);
    if (before === null) throw new SessionError("undo_unavailable", "no copy of the state before is kept");
    if (before.snapshot) this.#snapshots.pin(before.snapshot);
    try {
      await this.#goBackTo(before);
    } finally {
      if (before.snapshot) this.#snapshots.unpin(before.snapshot);
    }
    return before.executionId;
  }

  async #goBackTo(before: StateBefore): Promise<void> {
    await this.ensurePoint();
    try {
      await this.interpreter.respawn(before.snapshot);
    } catch (cause) {
      this.tellReplaced(await this.bringBack(), "the state before the execution could not be brought back");
      throw new SessionError("undo_unavailable", "the copy of the state before does not start", { cause });
    }
    clearTimeout(this.#quiet);
    this.#snapshots.setRecovery(before.snapshot);
    this.#snapshots.forgetUndoFrom(before.at);
    this.#history.undo(before.at);
    this.#copy = { kind: before.snapshot === null ? "fresh" : "snapshot", at: before.at };
  }

  /** Ends the copies for undo while the sandbox is short of memory. */
  async #easeMemory(): Promise<void> {
    if (this.#easing || this.#snapshots.undoable.length === 0) return;
    this.#easing = true;
    try {
      const { residentBytes, limitBytes, oomKills } = await this.interpreter.memoryStatus();
      // Without a control group the sum counts shared pages once for each process, and the limit holds for each process alone.
      const processes = oomKills === null ? 1 + this.#snapshots.count + this.#snapshots.undoable.length : 1;
      const bytes = residentBytes === null ? 0 : residentBytes / processes;
      if (limitBytes !== null && bytes >= UNDO_MEMORY_SHARE * limitBytes) {
        this.#snapshots.forgetUndoFrom(0);
        await this.interpreter.countSnapshots();
      }
    } catch {
      // The sandbox has ended, and the copies with it.
    } finally {
      this.#easing = false;
    }
  }

  /** A copy costs more than it is worth now. The last copy stays, and a new one is taken once the session is quiet. */
  #postpone(limit: number): void {
    clearTimeout(this.#quiet);
    this.#quiet = setTimeout(() => {
      if (!this.hasPoint && this.#queue.isIdle && this.interpreter.live) void this.#take(limit);
    }, QUIET_MS);
  }

  #take(maxResidentBytes: number | null): Promise<void> {
    const { interpreter } = this;
    const { metrics } = this.#settings;
    const { live } = interpreter;
    const place = this.#history.place;
    clearTimeout(this.#quiet);
    const taking = interpreter.takeSnapshot(maxResidentBytes).then(
      (snapshot) => {
        this.#schedule.noteCost(snapshot.cost);
        // Several requests may be under way, and their copies arrive in any order. A copy of an abandoned state is useless.
        if (!this.#history.continues(place) || (this.#copy && this.#copy.at > place.changes)) {
          snapshot.drop();
          return;
        }
        this.#snapshots.setRecovery(snapshot);
        this.#copy = { kind: "snapshot", at: place.changes };
        metrics.recoverySnapshot?.(snapshot.pause);
        this.#rest.begin();
        void this.#easeMemory();
      },
      (error: Error) => {
        metrics.recoverySnapshot?.(null);
        if (!this.#history.continues(place)) return;
        // If no process could be added, the copy before is still better than none.
        if (error instanceof SnapshotDeclined) {
          if (error.isTooLarge) this.#giveUp();
          return;
        }
        // The process neither answers nor exits: user code hangs in a fork hook.
        if (interpreter.live === live && live?.isConnected) interpreter.killLive();
      },
    );
    this.#taking = taking;
    return taking;
  }

  #giveUp(): void {
    this.#copy = null;
    this.#snapshots.setRecovery(null);
  }

  /** The recovery snapshot has died. */
  noteSnapshotLost(): void {
    if (this.#copy?.kind === "snapshot" && !this.#snapshots.recovery) this.#copy = null;
  }

  /** The present state is that of the recovery snapshot, if there is one. */
  noteRestored(base: Base | null): void {
    this.#begin(base, this.#snapshots.recovery ? "snapshot" : null);
  }

  /** The present state was loaded from a blob. */
  async noteLoaded(base: Base): Promise<void> {
    this.#snapshots.setRecovery(null);
    this.#begin(base, null);
    await this.#take(this.#settings.recoveryMaxResidentBytes);
  }

  /** The present state is that of a fresh interpreter. */
  noteFresh(): void {
    this.#snapshots.setRecovery(null);
    this.#begin(null, "fresh");
  }

  /** Starts a new history. */
  #begin(base: Base | null, copy: Copy["kind"] | null): void {
    clearTimeout(this.#quiet);
    this.#history.begin(base);
    this.#snapshots.forgetUndoFrom(0);
    this.#copy = copy && { kind: copy, at: 0 };
  }

  get place(): Place {
    return this.#history.place;
  }

  /** The blob of a checkpoint taken at `place` is complete: a loss can be recovered from it. */
  setBase(place: Place, base: Base): void {
    this.#history.setBase(place, base);
  }

  /** The checkpoint that is loaded after a loss. */
  get baseId(): CheckpointId | null {
    return this.#history.base?.checkpointId ?? null;
  }

  dropBase(checkpointId: CheckpointId): void {
    if (this.baseId === checkpointId) this.#history.dropBase();
  }

  /**
   * Ends the live process, if there is one, and recovers the state before the present execution, as far as possible.
   *
   * @throws SessionError `interpreter_failed` if not even a fresh interpreter can be started.
   */
  async bringBack(): Promise<BroughtBack> {
    const startedAt = performance.now();
    const { metrics } = this.#settings;
    try {
      const back = await this.#bringBack();
      // A session that has just needed a copy is likely to need another one.
      this.#schedule.refill();
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
    const { recovery: snapshot } = this.#snapshots;
    if (this.interpreter.isUsable && this.#copy && (wasFresh || (this.#copy.kind === "snapshot" && snapshot))) {
      try {
        await this.interpreter.respawn(wasFresh ? null : snapshot);
        if (isExact) return { state: "recovered" };
        this.#snapshots.forgetUndoFrom(this.#copy.at);
        return { state: "restored", lostExecutions: this.#history.goBack(this.#copy.at) };
      } catch {
        this.#giveUp();
      }
    }
    const back = await this.#fallBack();
    return wasFresh && back.state === "fresh" ? { state: "recovered" } : back;
  }

  /** Goes back to the last checkpoint, or to a fresh interpreter. A checkpoint that cannot be loaded is not tried twice. */
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
    const snapshot = this.interpreter.isUsable && base ? this.#snapshots.use(base.checkpointId) : null;
    if (this.interpreter.isUsable) await this.interpreter.respawn(snapshot);
    else await this.#replaceInterpreter();
    if (base && snapshot) {
      this.#snapshots.setRecovery(snapshot);
      this.noteRestored(base);
      return { state: "restored", checkpointId: base.checkpointId, lostExecutions };
    }
    if (base) {
      await this.#loadBase(base);
      return { state: "restored", checkpointId: base.checkpointId, lostExecutions };
    }
    this.noteFresh();
    return { state: "fresh" };
  }

  async #loadBase(base: Base): Promise<void> {
    const { loadDeadlineMs } = this.#settings.interpreter;
    try {
      const answer = await this.interpreter.live?.load(base.blob.path, true, loadDeadlineMs);
      if (answer?.type !== "loaded") throw new Error(`checkpoint ${base.checkpointId} could not be loaded`);
    } catch (error) {
      this.#history.dropBase();
      throw error;
    }
    await this.noteLoaded(base);
  }

  async #replaceInterpreter(): Promise<void> {
    this.#snapshots.clear();
    await this.interpreter.close();
    this.#interpreter = await this.#source.start();
  }
}
