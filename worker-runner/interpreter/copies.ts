/** Owns the frozen copies (snapshots) of a sandbox's live process: takes, wakes, counts and ends them. */
import { constants } from "node:os";
import { newToken } from "../channel/door.ts";
import { ChannelViolation } from "../channel/framing.ts";
import { DroppedCopies } from "./dropped-copies.ts";
import type { Live } from "./live.ts";
import type { LiveSlot } from "./live-slot.ts";
import { Unanswered } from "./pending-answers.ts";
import type { SandboxRoom } from "./sandbox-room.ts";
import { Snapshot, type SnapshotHost } from "./snapshot.ts";

const SIGKILL = 9;
const { SIGUSR1: WAKE } = constants.signals;
/** A copy that was swapped out may take this long to connect. The runner usually knows earlier that a copy was killed. */
const SNAPSHOT_HELLO_MS = 5_000;
const WAKE_AGAIN_MS = 500;
/** An idle live process answers at once. */
const COUNT_MS = 2_000;
/** The keeper is process 1 of the sandbox. Without a sandbox, no process of ours has this pid. */
const KEEPER_PID = 1;

/** The process was not copied: it is too large, or the sandbox allows no further process. */
export class SnapshotDeclined extends Error {
  override readonly name = "SnapshotDeclined";
  readonly isTooLarge: boolean;

  constructor(residentBytes: number, maxResidentBytes: number | null) {
    super(`the interpreter holds ${residentBytes} bytes`);
    this.isTooLarge = maxResidentBytes !== null && residentBytes > maxResidentBytes;
  }
}

export class Copies {
  readonly #room: SandboxRoom;
  readonly #slot: LiveSlot;
  readonly #answerDeadlineMs: number;
  readonly #onEnded: (snapshot: Snapshot) => void;
  readonly #snapshots = new Set<Snapshot>();
  readonly #dropped = new DroppedCopies((pid) => this.#endCopy(pid));
  readonly #host: SnapshotHost = {
    wake: (snapshot) => this.#wake(snapshot),
    onDropped: (snapshot) => {
      this.#snapshots.delete(snapshot);
      this.#dropped.add(snapshot.pid);
    },
    onEnded: (snapshot) => {
      if (this.#snapshots.delete(snapshot)) this.#onEnded(snapshot);
    },
  };

  constructor(room: SandboxRoom, slot: LiveSlot, answerDeadlineMs: number, onEnded: (snapshot: Snapshot) => void) {
    this.#room = room;
    this.#slot = slot;
    this.#answerDeadlineMs = answerDeadlineMs;
    this.#onEnded = onEnded;
  }

  /** The copies that a sweep must leave alone. It ends the dropped ones, so they are forgotten here. */
  pidsToKeep(): number[] {
    this.#dropped.takeAll();
    return [...this.#snapshots].map(({ pid }) => pid);
  }

  /**
   * Freezes a copy of the live process. Messages that are sent to the live process later take effect after the copy.
   *
   * @param isResting nothing is expected to run soon: the live process gives back unused memory, and does not rehearse.
   * @throws SnapshotDeclined if the process is larger than `maxResidentBytes`; Unanswered.
   */
  async take(maxResidentBytes: number | null, isResting: boolean): Promise<Snapshot> {
    const { live } = this.#slot;
    if (!live) throw new Unanswered("there is no live interpreter");
    const token = newToken();
    const drop = this.#dropped.takeAll();
    const answer = await live.snapshot({ token, drop, maxResidentBytes, isResting }, this.#answerDeadlineMs);
    if (answer.type === "snapshot_declined") throw new SnapshotDeclined(answer.resident_bytes, maxResidentBytes);
    this.noteEnded(answer.ended);
    this.#checkCopy(live, answer.pid);
    const snapshot = new Snapshot(this.#host, answer.pid, token, answer);
    this.#snapshots.add(snapshot);
    return snapshot;
  }

  /**
   * Ends the dropped copies, and finds out which other copies have died in their sleep: `onEnded` is called for each. If the
   * live process does not answer because user threads keep it busy, all copies count as alive.
   */
  async count(): Promise<void> {
    const { live } = this.#slot;
    if (!live) return;
    try {
      const { pids } = await live.reap(this.#dropped.takeAll(), COUNT_MS);
      this.noteEnded(pids);
    } catch {
      // The process is exiting. The caller must see it as ended.
      if (!live.isConnected) await this.#slot.waitUntilGone().catch(() => undefined);
    }
  }

  /** `snapshot` has become the live process, and has left the copy `pid` behind. */
  noteMoved(snapshot: Snapshot, live: Live, pid: number): void {
    try {
      this.#checkCopy(live, pid);
      snapshot.onMoved(pid);
    } catch {
      snapshot.noteEnded();
    }
  }

  /** These processes have ended; some may be copies. */
  noteEnded(pids: readonly number[]): void {
    for (const snapshot of this.#snapshots) if (pids.includes(snapshot.pid)) snapshot.noteEnded();
  }

  dropAll(): void {
    for (const snapshot of [...this.#snapshots]) snapshot.drop();
    this.#dropped.takeAll();
  }

  /** The keeper ends the copy, so that a live process at rest need not run for it. */
  #endCopy(pid: number): void {
    if (!this.#room.isUsable) return;
    // If it fails, the next sweep ends the copy.
    this.#room.keeper.signal(pid, SIGKILL, this.#answerDeadlineMs).catch(() => undefined);
  }

  /** @throws ChannelViolation if the live process names another process as the copy that it has made. */
  #checkCopy(live: Live, pid: number): void {
    if (pid === live.pid || pid === KEEPER_PID) {
      const violation = new ChannelViolation(`process ${pid} is no copy`);
      live.refuse(violation);
      throw violation;
    }
    // No two processes share a pid, so an earlier copy with this pid has ended.
    this.noteEnded([pid]);
  }

  async #wake(snapshot: Snapshot): Promise<void> {
    const wake = async () => {
      const isThere = await this.#room.keeper.signal(snapshot.pid, WAKE, this.#answerDeadlineMs);
      if (!isThere) throw new Unanswered("the copy has ended");
    };
    let last: Promise<void> = Promise.resolve();
    // A copy that could not connect went back to sleep.
    const again = setInterval(() => {
      last = wake().catch(() => undefined);
    }, WAKE_AGAIN_MS);
    try {
      await this.#room.admit("snapshot", wake, (peer) => snapshot.adopt(peer), SNAPSHOT_HELLO_MS, snapshot.token);
    } finally {
      clearInterval(again);
      // A late signal must not reach the process that the copy becomes.
      await last;
    }
  }
}
