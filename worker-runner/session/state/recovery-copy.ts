/** Owns the copy that a lost state is recovered from at once: when a new one is taken, what it costs, and how old it is. */

import { SnapshotDeclined } from "../../interpreter/copies.ts";
import type { Interpreter } from "../../interpreter/interpreter.ts";
import type { Snapshot } from "../../interpreter/snapshot.ts";
import { SessionError } from "../session-error.ts";
import type { SessionSettings } from "../session-options.ts";
import type { TurnQueue } from "../turn-queue.ts";
import { CopySchedule, QUIET_MS } from "./copy-schedule.ts";
import type { History } from "./history.ts";
import { RestCopy } from "./rest-copy.ts";
import type { Snapshots } from "./snapshots.ts";
import { UndoMemory } from "./undo-memory.ts";

/** A state that can be recovered at once: that of a fresh interpreter, or that of the recovery snapshot. */
interface Copy {
  readonly kind: "fresh" | "snapshot";
  /** How many changes the state had seen. */
  readonly at: number;
}

export class RecoveryCopy {
  readonly #settings: SessionSettings;
  readonly #snapshots: Snapshots;
  readonly #history: History;
  readonly #queue: TurnQueue;
  readonly #interpreter: () => Interpreter;
  readonly #schedule: CopySchedule;
  readonly #undoMemory: UndoMemory;
  readonly #rest: RestCopy;
  #copy: Copy | null = { kind: "fresh", at: 0 };
  /** The newest copy that was requested. It resolves when the copy was taken or has failed, and never rejects. */
  #taking: Promise<void> | null = null;
  #quiet: NodeJS.Timeout | undefined;

  /** @param interpreter gives the interpreter in use. */
  constructor(
    settings: SessionSettings,
    snapshots: Snapshots,
    history: History,
    queue: TurnQueue,
    interpreter: () => Interpreter,
  ) {
    this.#settings = settings;
    this.#snapshots = snapshots;
    this.#history = history;
    this.#queue = queue;
    this.#interpreter = interpreter;
    this.#schedule = new CopySchedule(settings.recoveryCopyShare, settings.recoveryCopiesBurst);
    this.#undoMemory = new UndoMemory(snapshots, interpreter);
    this.#rest = new RestCopy(settings.restAfterMs, {
      findCopy: () => (this.isPresent && queue.isIdle && interpreter().live ? snapshots.recovery : null),
      isInUse: (copy) => snapshots.isPinned(copy),
      takeCopy: () => interpreter().copies.take(settings.recoveryMaxResidentBytes, true),
      replace: (before, copy) => {
        if (this.isPresent && snapshots.recovery === before) snapshots.replace(before, copy);
        else copy.drop();
      },
    });
  }

  /** The copy there is, however old. */
  get current(): Copy | null {
    return this.#copy;
  }

  /** True if the copy is exactly the present state. */
  get isPresent(): boolean {
    return this.#copy?.at === this.#history.place.changes;
  }

  /** Waits for the copy that was requested, if there is one. */
  async settle(): Promise<void> {
    await this.#taking;
  }

  /** Waits for a copy that was requested, then checks that the recovery snapshot is alive: it sleeps without a connection that would report its end. */
  async check(): Promise<void> {
    if (!this.isPresent) await this.#taking;
    if (this.#copy?.kind === "snapshot") await this.#interpreter().copies.count();
  }

  /**
   * A copy of the present state. An existing copy is used unless threads may have changed the state since.
   *
   * @throws SessionError `checkpoint_failed`.
   */
  async takeNow(): Promise<{ snapshot: Snapshot; isNew: boolean }> {
    await this.#taking;
    await this.check();
    const present = this.isPresent ? this.#snapshots.recovery : null;
    if (present?.isAlive && present.threads.length === 0) return { snapshot: present, isNew: false };
    await this.take(null);
    const taken = this.isPresent ? this.#snapshots.recovery : null;
    if (!taken) throw new SessionError("checkpoint_failed", "the interpreter's state could not be copied");
    return { snapshot: taken, isNew: true };
  }

  /** An execution begins. */
  noteBegin(): void {
    this.#rest.cancel();
    this.#schedule.noteBegin();
  }

  /** An execution has changed the state: requests a copy. Messages that are sent to the interpreter later take effect after the copy. */
  noteChange(): void {
    const limit = this.#settings.recoveryMaxResidentBytes;
    if (limit === 0) this.giveUp();
    else if (this.#schedule.isDueAfterEnd(this.#queue.hasWaiting)) void this.take(limit);
    else this.#postpone(limit);
  }

  /** A session that has just needed a copy is likely to need another one. */
  noteNeeded(): void {
    this.#schedule.refill();
  }

  /** The state has become that of `copy`; null: the state has no copy yet. */
  replace(copy: Copy | null): void {
    this.postponeNoLonger();
    this.#copy = copy;
  }

  /** Takes no copy when the session becomes quiet. */
  postponeNoLonger(): void {
    clearTimeout(this.#quiet);
  }

  /** Takes no further copy. */
  close(): void {
    this.postponeNoLonger();
    this.#rest.cancel();
    this.#undoMemory.close();
  }

  giveUp(): void {
    this.#copy = null;
    this.#snapshots.setRecovery(null);
  }

  /** The recovery snapshot has died. */
  noteLost(): void {
    if (this.#copy?.kind === "snapshot" && !this.#snapshots.recovery) this.#copy = null;
  }

  /** A copy costs more than it is worth now. The last copy stays, and a new one is taken once the session is quiet. */
  #postpone(limit: number): void {
    clearTimeout(this.#quiet);
    this.#quiet = setTimeout(() => {
      if (!this.isPresent && this.#queue.isIdle && this.#interpreter().live) void this.take(limit);
    }, QUIET_MS);
  }

  /** Has the interpreter copy itself, if it has at most `maxResidentBytes`. */
  take(maxResidentBytes: number | null): Promise<void> {
    const interpreter = this.#interpreter();
    const { metrics } = this.#settings;
    const { live } = interpreter;
    const place = this.#history.place;
    clearTimeout(this.#quiet);
    const taking = interpreter.copies.take(maxResidentBytes, false).then(
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
        this.#undoMemory.noteCopy();
      },
      (error: Error) => {
        metrics.recoverySnapshot?.(null);
        if (!this.#history.continues(place)) return;
        // If no process could be added, the copy before is still better than none.
        if (error instanceof SnapshotDeclined) {
          if (error.isTooLarge) this.giveUp();
          return;
        }
        // The process neither answers nor exits: user code hangs in a fork hook.
        if (interpreter.live === live && live?.isConnected) interpreter.killLive();
      },
    );
    this.#taking = taking;
    return taking;
  }
}
