/** Owns recovering a lost state: the interpreter in use, the copy of its state, and the checkpoint to use if the copy is gone too. */
import type { StateAfterError } from "../../../src/protocol/event.ts";
import type { CheckpointId, ExecutionId } from "../../../src/protocol/identity.ts";
import type { Interpreter } from "../../interpreter/interpreter.ts";
import type { Snapshot } from "../../interpreter/snapshot.ts";
import type { SessionEvents } from "../events/session-events.ts";
import { SessionError } from "../session-error.ts";
import type { SessionSettings } from "../session-options.ts";
import type { TurnQueue } from "../turn-queue.ts";
import { type Base, History, type Place } from "./history.ts";
import type { InterpreterSource } from "./interpreter-source.ts";
import { RecoveryCopy } from "./recovery-copy.ts";
import type { Snapshots } from "./snapshots.ts";
import type { StateBefore } from "./undo-copies.ts";

/** The state after recovery. */
export interface BroughtBack {
  state: Extract<StateAfterError, "recovered" | "restored" | "fresh">;
  checkpointId?: CheckpointId;
  lostExecutions?: ExecutionId[];
}

const START_ATTEMPTS = 3;
export class Recovery {
  readonly #settings: SessionSettings;
  readonly #snapshots: Snapshots;
  readonly #source: InterpreterSource;
  readonly #events: SessionEvents;
  readonly #copy: RecoveryCopy;
  #interpreter: Interpreter | null = null;
  readonly #history = new History();

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
    this.#events = events;
    this.#copy = new RecoveryCopy(settings, snapshots, this.#history, queue, () => this.interpreter);
  }

  /** Starts the first interpreter. */
  async start(): Promise<void> {
    this.#interpreter = await this.#source.start();
  }

  /** Ends the interpreter in use. */
  async close(): Promise<void> {
    this.#copy.close();
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

  /** Starts a live process if there is none, and tells the listeners how much of the state is left. */
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
    return this.#copy.isPresent;
  }

  /** Makes sure that the present state can be recovered, however large it is. @throws SessionError `checkpoint_failed`. */
  async ensurePoint(): Promise<void> {
    await this.#copy.check();
    if (!this.hasPoint) await this.copyNow();
  }

  /**
   * A copy of the present state, which becomes the recovery snapshot. An existing copy is used unless threads may have changed the
   * state since.
   *
   * @throws SessionError `checkpoint_failed`.
   */
  copyNow(): Promise<{ snapshot: Snapshot; isNew: boolean }> {
    return this.#copy.takeNow();
  }

  /** An execution begins. */
  noteBegin(): void {
    this.#copy.noteBegin();
  }

  /** An execution has changed the state: requests a copy. Messages that are sent to the interpreter later take effect after the copy. */
  noteChange(executionId: ExecutionId | null): void {
    this.#keepForUndo(executionId);
    this.#history.note(executionId);
    this.#copy.noteChange();
  }

  /** Keeps the state before the execution, if it had a copy. */
  #keepForUndo(executionId: ExecutionId | null): void {
    const copy = this.#copy.current;
    if (executionId === null || copy === null || !this.hasPoint) return;
    const { kind, at } = copy;
    const { recovery } = this.#snapshots;
    if (kind === "snapshot" && recovery === null) return;
    this.#snapshots.keepForUndo({ executionId, snapshot: kind === "fresh" ? null : recovery, at });
  }

  /**
   * Brings back the state right before an execution, or before the last execution that has a copy. Call it in the session's turn.
   *
   * @returns that execution.
   * @throws SessionError `undo_unavailable`; the state is then as before.
   */
  async undo(executionId: ExecutionId | null): Promise<ExecutionId> {
    await this.#copy.settle();
    await this.ensureLive("the interpreter had ended");
    // Finds out which copies have died in their sleep.
    await this.interpreter.copies.count();
    const before = this.#snapshots.stateBefore(executionId);
    if (before === null) throw new SessionError("undo_unavailable", "no copy of the earlier state is kept");
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
      throw new SessionError("undo_unavailable", "the copy of the earlier state does not start", { cause });
    }
    this.#snapshots.setRecovery(before.snapshot);
    this.#snapshots.forgetUndoFrom(before.at);
    this.#history.undo(before.at);
    this.#copy.replace({ kind: before.snapshot === null ? "fresh" : "snapshot", at: before.at });
  }

  /** The recovery snapshot has died. */
  noteSnapshotLost(): void {
    this.#copy.noteLost();
  }

  /** The present state is that of the recovery snapshot, if there is one. */
  noteRestored(base: Base | null): void {
    this.#begin(base, this.#snapshots.recovery ? "snapshot" : null);
  }

  /** The present state was loaded from a blob. */
  async noteLoaded(base: Base): Promise<void> {
    this.#snapshots.setRecovery(null);
    this.#begin(base, null);
    await this.#copy.take(this.#settings.recoveryMaxResidentBytes);
  }

  /** The present state is that of a fresh interpreter. */
  noteFresh(): void {
    this.#snapshots.setRecovery(null);
    this.#begin(null, "fresh");
  }

  /** Starts a new history. */
  #begin(base: Base | null, copy: "fresh" | "snapshot" | null): void {
    this.#history.begin(base);
    this.#snapshots.forgetUndoFrom(0);
    this.#copy.replace(copy && { kind: copy, at: 0 });
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
      this.#copy.noteNeeded();
      metrics.stateReplaced?.(back.state, (performance.now() - startedAt) / 1000);
      return back;
    } catch (error) {
      metrics.stateReplaced?.("lost", (performance.now() - startedAt) / 1000);
      throw error;
    }
  }

  async #bringBack(): Promise<BroughtBack> {
    if (!this.hasPoint) await this.#copy.settle();
    this.#copy.postponeNoLonger();
    const isExact = this.hasPoint;
    const copy = this.#copy.current;
    const wasFresh = copy?.kind === "fresh" && isExact;
    const { recovery: snapshot } = this.#snapshots;
    if (this.interpreter.isUsable && copy && (wasFresh || (copy.kind === "snapshot" && snapshot))) {
      try {
        await this.interpreter.respawn(wasFresh ? null : snapshot);
        if (isExact) return { state: "recovered" };
        this.#snapshots.forgetUndoFrom(copy.at);
        return { state: "restored", lostExecutions: this.#history.goBack(copy.at) };
      } catch {
        this.#copy.giveUp();
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
