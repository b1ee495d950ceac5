/** Owns the processes of one session: live, snapshots, serializers; where they are housed is `housing.ts`'s, what a state is worth the session's. */
import { constants } from "node:os";
import { newToken } from "../channel/door.ts";
import { ChannelViolation } from "../channel/framing.ts";
import type { PythonVersion, SerializerMessage } from "../channel/message.ts";
import { withDeadline } from "../deadline.ts";
import type { SandboxMemory } from "../sandbox/sandbox-contract.ts";
import type { InterpreterOptions } from "./interpreter-options.ts";
import { Live, type LiveEnd, type LiveListener } from "./live.ts";
import { Unanswered } from "./pending-answers.ts";
import { SandboxRoom } from "./sandbox-room.ts";
import { type BlobSink, Serializer } from "./serializer.ts";
import { Snapshot, type SnapshotHost } from "./snapshot.ts";

const SIGKILL = 9;
const { SIGUSR1: WAKE } = constants.signals;
/** A connection's end and the keeper's word on it follow each other closely; past this one of them is being withheld. */
const END_SKEW_MS = 250;
/** Long enough for a copy that was put out to swap; one that was killed is known before, as a rule. */
const SNAPSHOT_HELLO_MS = 5_000;
const WAKE_AGAIN_MS = 500;
/** A live process that has nothing to do answers at once. */
const COUNT_MS = 2_000;
/** In the sandbox, where it is the first. Without a sandbox no process of ours has it. */
const KEEPER_PID = 1;
/** Copies that nobody needs are ended together with the taking of the next one, or after this. */
const DROP_AFTER_MS = 50;

export interface InterpreterListener {
  output: LiveListener["output"];
  execution: LiveListener["execution"];
  /** The live process ended without `respawn` having asked for it. All its output was told before. */
  liveEnded(end: LiveEnd): void;
  snapshotEnded(snapshot: Snapshot): void;
  /** Nothing of the sandbox is left or will be; `liveEnded` came before. */
  sandboxEnded(reason: string): void;
}

/** Declined: the process is too large to be copied, or there is no room for one more process. */
export class SnapshotDeclined extends Error {
  override readonly name = "SnapshotDeclined";
  readonly isTooLarge: boolean;

  constructor(residentBytes: number, maxResidentBytes: number | null) {
    super(`the interpreter holds ${residentBytes} bytes`);
    this.isTooLarge = maxResidentBytes !== null && residentBytes > maxResidentBytes;
  }
}

export class Interpreter {
  readonly #options: InterpreterOptions;
  readonly #listener: InterpreterListener;
  readonly #housing: SandboxRoom;
  readonly #snapshots = new Set<Snapshot>();
  readonly #serializers = new Set<Serializer>();
  readonly #snapshotHost: SnapshotHost = {
    wake: (snapshot) => this.#wake(snapshot),
    dropped: (snapshot) => this.#drop(snapshot),
    ended: (snapshot) => {
      if (this.#snapshots.delete(snapshot)) this.#listener.snapshotEnded(snapshot);
    },
  };
  /** Copies let go that are still to be ended. */
  #dropped: number[] = [];
  #dropping: NodeJS.Timeout | undefined;
  #live: Live | null = null;
  #liveGone: Promise<void> = Promise.resolve();
  #noteLiveGone: () => void = () => undefined;
  /** The end of the live process is our own doing. */
  #isLiveRetired = false;
  /** A live process ran since the last sweep, so that it may have left others behind. */
  #needsSweep = false;
  #signalsOpen = 0;
  #signalsAnswered: Promise<void> = Promise.resolve();

  private constructor(directory: string, options: InterpreterOptions, listener: InterpreterListener) {
    this.#options = options;
    this.#listener = listener;
    this.#housing = new SandboxRoom(directory, options, {
      exited: (pid, code, signal, leftovers) => {
        this.#noteSnapshotsEnded([pid]);
        if (this.#live?.pid !== pid || this.#live.hasEnded) return;
        this.#live.noteExit(code, signal, leftovers);
        this.#hastenEnd(this.#live, END_SKEW_MS);
      },
      ended: (reason) => this.#noteSandboxEnd(reason),
    });
  }

  /**
   * Starts a sandbox whose files outside lie in `directory` (made here, gone with it), with a fresh live process in it.
   *
   * @throws Error where it cannot be started, `DeadlinePassed`, or the signal's reason.
   */
  static async start(
    directory: string,
    options: InterpreterOptions,
    listener: InterpreterListener,
    signal?: AbortSignal,
  ): Promise<Interpreter> {
    const interpreter = new Interpreter(directory, options, listener);
    const begin = async () => {
      await interpreter.#housing.start();
      await interpreter.#spawn(null);
    };
    try {
      await withDeadline(begin(), "starting an interpreter", options.startDeadlineMs, signal);
    } catch (error) {
      await interpreter.close();
      const { complaint } = interpreter.#housing;
      throw complaint ? new Error(`${(error as Error).message}: ${complaint}`, { cause: error }) : error;
    }
    return interpreter;
  }

  get python(): PythonVersion {
    return this.#housing.keeper.python;
  }

  /** False once the sandbox has ended or is being ended. */
  get isUsable(): boolean {
    return this.#housing.isUsable;
  }

  /** The process that runs code, or null while there is none. */
  get live(): Live | null {
    return this.#live?.hasEnded === false ? this.#live : null;
  }

  /** Null where no signal is under way; otherwise resolves when none is. */
  get signalsAnswered(): Promise<void> | null {
    return this.#signalsOpen === 0 ? null : this.#signalsAnswered;
  }

  /** Sends a signal to the live process. Resolves when it has been sent, or cannot be. */
  signalLive(signal: number): Promise<void> {
    if (!this.live || !this.isUsable) return Promise.resolve();
    this.#signalsOpen += 1;
    const answered = this.#housing.keeper.signal(this.live.pid, signal, this.#options.answerDeadlineMs);
    this.#signalsAnswered = answered
      .then(
        () => undefined,
        (error: Error) => this.#housing.breakDown(error.message),
      )
      .finally(() => {
        this.#signalsOpen -= 1;
      });
    return this.#signalsAnswered;
  }

  /** Whether the running code has taken notice of an interrupt: false while it is busy in C or ignores the signal. */
  async hasNoticedInterrupt(): Promise<boolean> {
    try {
      return (await this.#housing.keeper.interrupts(this.#options.answerDeadlineMs)) > 0;
    } catch {
      return false; // Without a keeper there is nobody to spare.
    }
  }

  /** Kills the live process and all that it started, unless it is ending anyway; `liveEnded` follows. */
  killLive(): void {
    if (this.#isLiveRetired || !this.live) return;
    void this.#endLive();
  }

  /**
   * Ends the live process, if there is one, with all that it started, then begins another: a copy of `snapshot`, or fresh.
   *
   * @throws Error where that fails; unless the snapshot had just ended, the sandbox is then only good for `close`.
   */
  async respawn(snapshot: Snapshot | null): Promise<void> {
    try {
      this.#isLiveRetired = true;
      if (this.#needsSweep || this.live) await this.#sweep();
      await this.#awaitLiveGone();
      await this.#spawn(snapshot);
    } catch (error) {
      if (snapshot?.isAlive !== false) this.#housing.breakDown((error as Error).message);
      throw error;
    }
  }

  /**
   * Freezes a copy of the live process as it is now. What is sent to the live process afterwards happens after the copy.
   *
   * @throws SnapshotDeclined where it is larger than `maxResidentBytes`; Unanswered.
   */
  async takeSnapshot(maxResidentBytes: number | null): Promise<Snapshot> {
    const { live } = this;
    if (!live) throw new Unanswered("there is no live interpreter");
    const token = newToken();
    const answer = await live.snapshot(token, this.#takeDropped(), maxResidentBytes, this.#options.answerDeadlineMs);
    if (answer.type === "snapshot_declined") throw new SnapshotDeclined(answer.resident_bytes, maxResidentBytes);
    this.#noteSnapshotsEnded(answer.ended);
    this.#admitCopy(live, answer.pid);
    const snapshot = new Snapshot(this.#snapshotHost, answer.pid, token, answer.threads, answer.pause);
    this.#snapshots.add(snapshot);
    return snapshot;
  }

  /**
   * Ends the copies let go, and finds out which others have ended while they slept: `snapshotEnded` tells of each. Where the live
   * process does not say, kept busy by threads of the user's, they count as they did.
   */
  async countSnapshots(): Promise<void> {
    const { live } = this;
    if (!live) return;
    try {
      const { pids } = await live.reap(this.#takeDropped(), COUNT_MS);
      this.#noteSnapshotsEnded(pids);
    } catch {
      // One that is ending shall be known to have ended by whoever asked.
      if (!live.isConnected) await this.#awaitLiveGone().catch(() => undefined);
    }
  }

  /** @throws ChannelViolation where the live process gives out another process for a copy that it has made. */
  #admitCopy(live: Live, pid: number): void {
    if (pid === live.pid || pid === KEEPER_PID) {
      const violation = new ChannelViolation(`process ${pid} is no copy`);
      live.refuse(violation);
      throw violation;
    }
    // No two processes have one pid: a copy that had it is gone.
    this.#noteSnapshotsEnded([pid]);
  }

  #awaitLiveGone(): Promise<void> {
    return withDeadline(this.#liveGone, "the interpreter's end", this.#options.answerDeadlineMs);
  }

  /** Ends the live process with all that it started; where it stays, the sandbox ends. */
  async #endLive(): Promise<void> {
    const gone = this.#liveGone;
    try {
      await this.#sweep();
      await withDeadline(gone, "the interpreter's end", this.#options.answerDeadlineMs);
    } catch (error) {
      this.#housing.breakDown((error as Error).message);
    }
  }

  /** Has a snapshot write itself to `sink`, in a process of its own. */
  async serialize(
    snapshot: Snapshot,
    sink: BlobSink,
    limits: { maxBlobBytes: number; maxWorkspaceBytes: number },
  ): Promise<SerializerMessage> {
    const serializer = await this.#housing.admit(
      "serializer",
      (token) => snapshot.serialize("1", token, limits.maxBlobBytes, limits.maxWorkspaceBytes),
      (guest) => {
        const arrived = new Serializer(guest, sink, limits.maxBlobBytes, this.#options.serializerSilenceMs);
        this.#serializers.add(arrived);
        return arrived;
      },
    );
    try {
      return await serializer.done;
    } catch (error) {
      // What hangs there is user code (`__reduce__`), which would not notice that its connection has ended.
      if (this.isUsable) await this.#killSerializer(serializer);
      throw error;
    } finally {
      this.#serializers.delete(serializer);
    }
  }

  async #killSerializer({ pid }: Serializer): Promise<void> {
    try {
      await this.#housing.keeper.signal(pid, SIGKILL, this.#options.answerDeadlineMs);
    } catch (error) {
      this.#housing.breakDown((error as Error).message);
    }
  }

  memoryStatus(): Promise<SandboxMemory> {
    return this.#housing.memoryStatus();
  }

  /** Ends everything in the sandbox and removes its files outside. Safe to call twice. */
  async close(): Promise<void> {
    this.#isLiveRetired = true;
    // A connection of which nothing is read does not end.
    this.#live?.allow(Number.POSITIVE_INFINITY);
    const closing = this.#housing.close();
    for (const snapshot of [...this.#snapshots]) snapshot.drop();
    this.#takeDropped();
    await closing;
    this.#live?.noteExit(null, null, [], true);
    this.#live?.disconnect();
  }

  async #spawn(snapshot: Snapshot | null): Promise<void> {
    await this.#housing.admit(
      "live",
      (token) => snapshot?.spawn(token, newToken()) ?? this.#housing.keeper.spawn(token),
      (guest) => {
        this.#liveGone = new Promise((resolve) => {
          this.#noteLiveGone = resolve;
        });
        this.#isLiveRetired = false;
        this.#needsSweep = true;
        const live = new Live(guest, {
          output: this.#listener.output,
          execution: this.#listener.execution,
          disconnected: (live, isViolation) => this.#hastenEnd(live, isViolation ? 0 : END_SKEW_MS),
          ended: (_live, end) => this.#noteLiveEnd(end),
        });
        this.#live = live;
        if (snapshot) this.#moveCopy(snapshot, live, guest.hello.snapshot_pid ?? 0);
      },
    );
  }

  /** `snapshot` runs as `live` now, and has left a copy. */
  #moveCopy(snapshot: Snapshot, live: Live, pid: number): void {
    try {
      this.#admitCopy(live, pid);
      snapshot.moved(pid);
    } catch {
      snapshot.noteEnded();
    }
  }

  async #sweep(): Promise<void> {
    this.#live?.allow(Number.POSITIVE_INFINITY);
    const keep = [...this.#snapshots, ...this.#serializers]
      .map(({ pid }) => pid)
      .filter((pid) => pid !== this.#live?.pid);
    this.#takeDropped();
    await this.#housing.keeper.sweep(keep, this.#options.answerDeadlineMs);
    this.#needsSweep = false;
  }

  /** One of the two signs of a live process's end is there; past `delayMs` the other one is brought about. */
  #hastenEnd(live: Live, delayMs: number): void {
    if (live.hasEnded || this.#isLiveRetired) return;
    setTimeout(() => {
      if (live.hasEnded || live !== this.#live || !this.isUsable) return;
      void this.#endLive();
    }, delayMs);
  }

  #noteLiveEnd(end: LiveEnd): void {
    this.#noteLiveGone();
    if (!this.#isLiveRetired) this.#listener.liveEnded(end);
  }

  async #wake(snapshot: Snapshot): Promise<void> {
    const wake = async () => {
      const isThere = await this.#housing.keeper.signal(snapshot.pid, WAKE, this.#options.answerDeadlineMs);
      if (!isThere) throw new Unanswered("the copy has ended");
    };
    let last: Promise<void> = Promise.resolve();
    // One that could not connect went back to sleep.
    const again = setInterval(() => {
      last = wake().catch(() => undefined);
    }, WAKE_AGAIN_MS);
    try {
      await this.#housing.admit("snapshot", wake, (guest) => snapshot.adopt(guest), SNAPSHOT_HELLO_MS, snapshot.token);
    } finally {
      clearInterval(again);
      // A signal must not reach what the copy becomes.
      await last;
    }
  }

  #drop(snapshot: Snapshot): void {
    this.#snapshots.delete(snapshot);
    this.#dropped.push(snapshot.pid);
    this.#dropping ??= setTimeout(() => {
      this.#dropping = undefined;
      // Without a live process they wait for the next one, or a sweep.
      if (this.live) this.live.drop(this.#takeDropped());
    }, DROP_AFTER_MS);
  }

  #takeDropped(): number[] {
    const pids = this.#dropped;
    this.#dropped = [];
    clearTimeout(this.#dropping);
    this.#dropping = undefined;
    return pids;
  }

  #noteSnapshotsEnded(pids: readonly number[]): void {
    for (const snapshot of this.#snapshots) if (pids.includes(snapshot.pid)) snapshot.noteEnded();
  }

  #noteSandboxEnd(reason: string): void {
    const { live } = this;
    live?.noteExit(null, null, [], true);
    const told = () => this.#listener.sandboxEnded(reason);
    withDeadline(this.#liveGone, "the connection's end", this.#options.answerDeadlineMs).then(told, () => {
      live?.refuse(new ChannelViolation(reason));
      told();
    });
  }
}
