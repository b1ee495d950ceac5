/** Owns the processes of one sandbox: one live process, its frozen copies (snapshots), and the serializers that write copies to blobs. */
import { constants } from "node:os";
import { newToken } from "../channel/door.ts";
import { ChannelViolation } from "../channel/framing.ts";
import type { PythonVersion, SerializerMessage } from "../channel/message.ts";
import { withDeadline } from "../deadline.ts";
import type { SandboxMemory } from "../sandbox/sandbox-contract.ts";
import { DroppedCopies } from "./dropped-copies.ts";
import { FileProcess } from "./file-process.ts";
import { Installations } from "./installations.ts";
import type { InterpreterOptions } from "./interpreter-options.ts";
import type { Live, LiveEnd } from "./live.ts";
import { LiveSlot } from "./live-slot.ts";
import { Unanswered } from "./pending-answers.ts";
import { SandboxRoom } from "./sandbox-room.ts";
import { type BlobSink, Serializer } from "./serializer.ts";
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

export interface InterpreterListener {
  /** The live process ended, and the runner had not asked for it. All its output was delivered before. */
  onLiveEnded(end: LiveEnd): void;
  onSnapshotEnded(snapshot: Snapshot): void;
  /** The sandbox has ended. `onLiveEnded` was called before. */
  onSandboxEnded(reason: string): void;
}

/** The process was not copied: it is too large, or the sandbox allows no further process. */
export class SnapshotDeclined extends Error {
  override readonly name = "SnapshotDeclined";
  readonly isTooLarge: boolean;

  constructor(residentBytes: number, maxResidentBytes: number | null) {
    super(`the interpreter holds ${residentBytes} bytes`);
    this.isTooLarge = maxResidentBytes !== null && residentBytes > maxResidentBytes;
  }
}

export class Interpreter {
  readonly installations: Installations;
  readonly #options: InterpreterOptions;
  readonly #listener: InterpreterListener;
  readonly #room: SandboxRoom;
  readonly #slot: LiveSlot;
  readonly #snapshots = new Set<Snapshot>();
  readonly #serializers = new Set<Serializer>();
  readonly #dropped = new DroppedCopies((pid) => this.#endCopy(pid));
  readonly #snapshotHost: SnapshotHost = {
    wake: (snapshot) => this.#wake(snapshot),
    onDropped: (snapshot) => {
      this.#snapshots.delete(snapshot);
      this.#dropped.add(snapshot.pid);
    },
    onEnded: (snapshot) => {
      if (this.#snapshots.delete(snapshot)) this.#listener.onSnapshotEnded(snapshot);
    },
  };

  private constructor(directory: string, options: InterpreterOptions, listener: InterpreterListener) {
    this.#options = options;
    this.#listener = listener;
    this.#room = new SandboxRoom(directory, options, {
      onExited: (pid, exit, leftovers) => {
        this.#noteSnapshotsEnded([pid]);
        this.#slot.noteExit(pid, exit, leftovers);
      },
      onEnded: (reason) => this.#noteSandboxEnd(reason),
    });
    this.#slot = new LiveSlot({
      room: this.#room,
      answerDeadlineMs: options.answerDeadlineMs,
      pidsToKeep: () => {
        this.#dropped.takeAll();
        return [...this.#snapshots, ...this.#serializers].map(({ pid }) => pid);
      },
      onEnded: (end) => listener.onLiveEnded(end),
      onReinstall: (live, message) => void this.installations.reinstall(live, message),
    });
    this.installations = new Installations(this.#room, options.packageIndex, options.answerDeadlineMs);
  }

  /**
   * Starts a sandbox with a fresh live process. Its files outside are in `directory`, which is created here and removed at its end.
   *
   * @throws Error if it cannot be started, `DeadlinePassed`, or the signal's reason.
   */
  static async start(
    directory: string,
    options: InterpreterOptions,
    listener: InterpreterListener,
    signal?: AbortSignal,
  ): Promise<Interpreter> {
    const interpreter = new Interpreter(directory, options, listener);
    const begin = async () => {
      await interpreter.#room.start();
      await interpreter.#spawn(null);
    };
    try {
      await withDeadline(begin(), "starting an interpreter", options.startDeadlineMs, signal);
    } catch (error) {
      await interpreter.close();
      const { complaint } = interpreter.#room;
      throw complaint ? new Error(`${(error as Error).message}: ${complaint}`, { cause: error }) : error;
    }
    return interpreter;
  }

  get python(): PythonVersion {
    return this.#room.keeper.python;
  }

  /** False once the sandbox has ended or is being ended. */
  get isUsable(): boolean {
    return this.#room.isUsable;
  }

  /** The process that runs code, or null if there is none. */
  get live(): Live | null {
    return this.#slot.live;
  }

  /** Null if every signal was answered; otherwise resolves when that is the case. */
  get signalsAnswered(): Promise<void> | null {
    return this.#slot.signalsAnswered;
  }

  /** Sends a signal to the live process. Resolves when it was sent, or cannot be. */
  signalLive(signal: number): Promise<void> {
    return this.#slot.signal(signal);
  }

  /** Kills the live process and every process that it started, unless it is ending already; `onLiveEnded` follows. */
  killLive(): void {
    this.#slot.kill();
  }

  /** Whether the running code has noticed an interrupt: false while it is busy in C or ignores the signal. */
  async hasNoticedInterrupt(): Promise<boolean> {
    try {
      return (await this.#room.keeper.interrupts(this.#options.answerDeadlineMs)).noticedInterrupts > 0;
    } catch {
      return false; // Without a keeper, no code is left to wait for.
    }
  }

  /** How long the code of the present execution has run, in seconds; null if it has not begun, or there is no keeper. */
  async runningSeconds(): Promise<number | null> {
    try {
      const { begun, secondsSinceBegin } = await this.#room.keeper.interrupts(this.#options.answerDeadlineMs);
      return this.live && begun >= this.live.executions ? secondsSinceBegin : null;
    } catch {
      return null;
    }
  }

  /**
   * Ends the live process, if there is one, with every process that it started. Then starts another: a copy of `snapshot`, or fresh.
   *
   * @throws Error if that fails. Unless the snapshot had just ended, the sandbox can then only be closed.
   */
  async respawn(snapshot: Snapshot | null): Promise<void> {
    try {
      await this.#slot.clear();
      await this.#spawn(snapshot);
    } catch (error) {
      if (snapshot?.isAlive !== false) this.#room.breakDown((error as Error).message);
      throw error;
    }
  }

  /**
   * Freezes a copy of the live process. Messages that are sent to the live process later take effect after the copy.
   *
   * @param isResting nothing is expected to run soon: the live process gives back unused memory, and does not rehearse.
   * @throws SnapshotDeclined if the process is larger than `maxResidentBytes`; Unanswered.
   */
  async takeSnapshot(maxResidentBytes: number | null, { isResting = false } = {}): Promise<Snapshot> {
    const { live } = this;
    if (!live) throw new Unanswered("there is no live interpreter");
    const token = newToken();
    const drop = this.#dropped.takeAll();
    const { answerDeadlineMs } = this.#options;
    const answer = await live.snapshot({ token, drop, maxResidentBytes, isResting }, answerDeadlineMs);
    if (answer.type === "snapshot_declined") throw new SnapshotDeclined(answer.resident_bytes, maxResidentBytes);
    this.#noteSnapshotsEnded(answer.ended);
    this.#checkCopy(live, answer.pid);
    const snapshot = new Snapshot(this.#snapshotHost, answer.pid, token, answer);
    this.#snapshots.add(snapshot);
    return snapshot;
  }

  /**
   * Ends the dropped copies, and finds out which other copies have died in their sleep: `onSnapshotEnded` is called for each. If the
   * live process does not answer because user threads keep it busy, all copies count as alive.
   */
  async countSnapshots(): Promise<void> {
    const { live } = this;
    if (!live) return;
    try {
      const { pids } = await live.reap(this.#dropped.takeAll(), COUNT_MS);
      this.#noteSnapshotsEnded(pids);
    } catch {
      // The process is exiting. The caller must see it as ended.
      if (!live.isConnected) await this.#slot.waitUntilGone().catch(() => undefined);
    }
  }

  /** Writes a snapshot to `sink`, in a process of its own. */
  async serialize(
    snapshot: Snapshot,
    sink: BlobSink,
    limits: { maxBlobBytes: number; maxWorkspaceBytes: number },
  ): Promise<SerializerMessage> {
    const serializer = await this.#room.admit(
      "serializer",
      (token) => snapshot.serialize("1", token, limits.maxBlobBytes, limits.maxWorkspaceBytes),
      (peer) => {
        const arrived = new Serializer(peer, sink, limits.maxBlobBytes, this.#options.serializerSilenceMs);
        this.#serializers.add(arrived);
        return arrived;
      },
    );
    try {
      return await serializer.done;
    } catch (error) {
      // User code such as `__reduce__` may hang in it. It would not notice that its connection has ended.
      if (this.isUsable) await this.#killSerializer(serializer);
      throw error;
    } finally {
      this.#serializers.delete(serializer);
    }
  }

  /** Starts a process that makes one call on the files of the workspace, also while code runs. @throws Error if it cannot be started. */
  openFiles(): Promise<FileProcess> {
    const { answerDeadlineMs, fileSilenceMs } = this.#options;
    const { keeper } = this.#room;
    return this.#room.admit(
      "files",
      (token) => keeper.spawnFiles(token, answerDeadlineMs),
      (peer) =>
        new FileProcess(peer, fileSilenceMs, () => {
          if (this.isUsable) keeper.signal(peer.hello.pid, SIGKILL, answerDeadlineMs).catch(() => undefined);
        }),
    );
  }

  memoryStatus(): Promise<SandboxMemory> {
    return this.#room.memoryStatus();
  }

  /** Ends every process of the sandbox and removes its files outside. Safe to call twice. */
  async close(): Promise<void> {
    this.#slot.retire();
    this.#slot.readAll();
    const closing = this.#room.close();
    for (const snapshot of [...this.#snapshots]) snapshot.drop();
    this.#dropped.takeAll();
    await closing;
    this.#slot.noteSandboxEnd();
    this.#slot.disconnect();
  }

  /** The keeper ends the copy, so that a live process at rest need not run for it. */
  #endCopy(pid: number): void {
    if (!this.isUsable) return;
    // If it fails, the next sweep ends the copy.
    this.#room.keeper.signal(pid, SIGKILL, this.#options.answerDeadlineMs).catch(() => undefined);
  }

  async #killSerializer({ pid }: Serializer): Promise<void> {
    try {
      await this.#room.keeper.signal(pid, SIGKILL, this.#options.answerDeadlineMs);
    } catch (error) {
      this.#room.breakDown((error as Error).message);
    }
  }

  #spawn(snapshot: Snapshot | null): Promise<void> {
    const send = (token: string) => snapshot?.spawn(token, newToken()) ?? this.#room.keeper.spawn(token);
    return this.#slot.start((onHello) =>
      this.#room.admit("live", send, (peer) => {
        const live = onHello(peer);
        if (snapshot) this.#moveCopy(snapshot, live, peer.hello.snapshot_pid ?? 0);
      }),
    );
  }

  /** `snapshot` has become the live process, and has left the copy `pid` behind. */
  #moveCopy(snapshot: Snapshot, live: Live, pid: number): void {
    try {
      this.#checkCopy(live, pid);
      snapshot.onMoved(pid);
    } catch {
      snapshot.noteEnded();
    }
  }

  /** @throws ChannelViolation if the live process names another process as the copy that it has made. */
  #checkCopy(live: Live, pid: number): void {
    if (pid === live.pid || pid === KEEPER_PID) {
      const violation = new ChannelViolation(`process ${pid} is no copy`);
      live.refuse(violation);
      throw violation;
    }
    // No two processes share a pid, so an earlier copy with this pid has ended.
    this.#noteSnapshotsEnded([pid]);
  }

  async #wake(snapshot: Snapshot): Promise<void> {
    const wake = async () => {
      const isThere = await this.#room.keeper.signal(snapshot.pid, WAKE, this.#options.answerDeadlineMs);
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

  #noteSnapshotsEnded(pids: readonly number[]): void {
    for (const snapshot of this.#snapshots) if (pids.includes(snapshot.pid)) snapshot.noteEnded();
  }

  #noteSandboxEnd(reason: string): void {
    const { live } = this;
    this.#slot.noteSandboxEnd();
    const tell = () => this.#listener.onSandboxEnded(reason);
    this.#slot.waitUntilGone().then(tell, () => {
      live?.refuse(new ChannelViolation(reason));
      tell();
    });
  }
}
