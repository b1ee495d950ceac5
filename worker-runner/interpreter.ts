/** Owns one sandbox and the processes in it: keeper, live, snapshots, serializers; what a state is worth is the session's. */
import { mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { Door, type Guest } from "./channel/door.ts";
import type { Hello, PythonVersion, SerializerMessage } from "./channel/message.ts";
import { ChannelViolation } from "./channel.ts";
import { withDeadline } from "./deadline.ts";
import { Keeper } from "./interpreter/keeper.ts";
import { type LiveEnd, type LiveListener, LiveProcess } from "./interpreter/live-process.ts";
import { Unanswered } from "./interpreter/pending-answers.ts";
import { type BlobSink, SerializerProcess } from "./interpreter/serializer-process.ts";
import { SnapshotProcess } from "./interpreter/snapshot-process.ts";
import { CHANNEL_SOCKET_NAME, type Sandbox, type SandboxMemory } from "./sandbox-contract.ts";
import type { InterpreterOptions } from "./session-options.ts";

const SIGKILL = 9;
/** A connection's end and the keeper's word on it follow each other closely; past this one of them is being withheld. */
const END_SKEW_MS = 250;
/** It has been forked by then; where it was killed at once nothing else says so. */
const SNAPSHOT_HELLO_MS = 3_000;
const STDERR_KEPT = 4_096;
/** `sun_path` of unix(7), without its NUL. */
const SOCKET_PATH_MAX = 107;

export interface InterpreterListener {
  output: LiveListener["output"];
  execution: LiveListener["execution"];
  /** The live process ended without `respawn` having asked for it. All its output was told before. */
  liveEnded(end: LiveEnd): void;
  snapshotEnded(snapshot: SnapshotProcess): void;
  /** Nothing of the sandbox is left or will be; `liveEnded` came before. */
  sandboxEnded(reason: string): void;
}

/** Declined: taking the snapshot would be too dear. */
export class SnapshotDeclined extends Error {
  override readonly name = "SnapshotDeclined";
}

export class Interpreter {
  readonly #directory: string;
  readonly #options: InterpreterOptions;
  readonly #listener: InterpreterListener;
  readonly #snapshots = new Set<SnapshotProcess>();
  readonly #serializers = new Map<number, SnapshotProcess>();
  #door: Door | null = null;
  #sandbox: Sandbox | null = null;
  #keeper: Keeper | null = null;
  #live: LiveProcess | null = null;
  #liveGone: Promise<void> = Promise.resolve();
  #noteLiveGone: () => void = () => undefined;
  #isLiveRetired = false;
  /** A live process ran since the last sweep, so that it may have left others behind. */
  #needsSweep = false;
  #signalsOpen = 0;
  #signalsAnswered: Promise<unknown> = Promise.resolve();
  #stderr = "";
  #endReason: string | null = null;
  #closing: Promise<void> | null = null;

  private constructor(directory: string, options: InterpreterOptions, listener: InterpreterListener) {
    this.#directory = directory;
    this.#options = options;
    this.#listener = listener;
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
    try {
      await withDeadline(interpreter.#start(), "starting an interpreter", options.startDeadlineMs, signal);
    } catch (error) {
      await interpreter.close();
      throw interpreter.#stderr
        ? new Error(`${(error as Error).message}: ${interpreter.#stderr.trim()}`, { cause: error })
        : error;
    }
    return interpreter;
  }

  get python(): PythonVersion {
    if (!this.#keeper) throw new Error("not started");
    return this.#keeper.python;
  }

  /** True until the sandbox has ended or is being ended. */
  get isUsable(): boolean {
    return this.#endReason === null && this.#keeper !== null;
  }

  /** The process that runs code, or null while there is none. */
  get live(): LiveProcess | null {
    return this.#live?.hasEnded === false ? this.#live : null;
  }

  get snapshotCount(): number {
    return this.#snapshots.size;
  }

  /** Null where no signal is under way; otherwise resolves when none is. */
  get signalsAnswered(): Promise<unknown> | null {
    return this.#signalsOpen === 0 ? null : this.#signalsAnswered;
  }

  /** Sends a signal to the live process. */
  signalLive(signal: number): void {
    if (!this.live || !this.#keeper) return;
    this.#signalsOpen += 1;
    this.#signalsAnswered = this.#keeper.signal(this.live.pid, signal, this.#options.answerDeadlineMs).then(
      () => {
        this.#signalsOpen -= 1;
      },
      (error: Error) => {
        this.#signalsOpen -= 1;
        this.#break(error.message);
      },
    );
  }

  /** Kills the live process and all that it started, unless it is ending anyway; `liveEnded` follows. */
  killLive(): void {
    if (this.#isLiveRetired || !this.live) return;
    this.#sweep().catch((error: Error) => this.#break(error.message));
  }

  /**
   * Ends the live process, if there is one, with all that it started, then begins another: a copy of `snapshot`, or fresh.
   *
   * @throws Error where that fails; the sandbox is then only good for `close`.
   */
  async respawn(snapshot: SnapshotProcess | null): Promise<void> {
    try {
      this.#isLiveRetired = true;
      if (this.#needsSweep || this.live) await this.#sweep();
      await withDeadline(this.#liveGone, "the interpreter's end", this.#options.answerDeadlineMs);
      await this.#spawn(snapshot);
    } catch (error) {
      if (snapshot?.isAlive !== false) this.#break((error as Error).message);
      throw error;
    }
  }

  /**
   * Freezes a copy of the live process as it is now. What is sent to the live process afterwards happens after the copy.
   *
   * @throws SnapshotDeclined where it is larger than `maxResidentBytes`; Unanswered.
   */
  async takeSnapshot(maxResidentBytes: number | null): Promise<SnapshotProcess> {
    const { live } = this;
    if (!live || !this.#door) throw new Unanswered("there is no live interpreter");
    const door = this.#door;
    const deadlineMs = this.#options.answerDeadlineMs;
    let token = "";
    const admitted = new Promise<SnapshotProcess>((resolve) => {
      token = door.invite("snapshot", (guest) => {
        const snapshot = new SnapshotProcess(guest, (ended) => this.#forget(ended));
        this.#snapshots.add(snapshot);
        resolve(snapshot);
      });
    });
    try {
      const answer = await live.snapshot(token, maxResidentBytes, deadlineMs);
      if (answer.type === "snapshot_declined") {
        throw new SnapshotDeclined(`the interpreter holds ${answer.resident_bytes} bytes`);
      }
      const snapshot = await withDeadline(admitted, "a snapshot's hello", Math.min(deadlineMs, SNAPSHOT_HELLO_MS));
      snapshot.describe(answer.threads, answer.pause);
      return snapshot;
    } catch (error) {
      door.revoke(token);
      void admitted.then((snapshot) => snapshot.drop());
      throw error;
    }
  }

  /** Has a snapshot write itself to `sink`, in a process of its own. */
  async serialize(
    snapshot: SnapshotProcess,
    sink: BlobSink,
    limits: { maxBlobBytes: number; maxWorkspaceBytes: number },
  ): Promise<SerializerMessage> {
    const silenceMs = this.#options.serializerSilenceMs;
    const serializer = await this.#admit(
      "serializer",
      (token) => snapshot.serialize("1", token, limits.maxBlobBytes, limits.maxWorkspaceBytes),
      (guest) => new SerializerProcess(guest, sink, limits.maxBlobBytes, silenceMs),
    );
    this.#serializers.set(serializer.pid, snapshot);
    try {
      return await serializer.done;
    } catch (error) {
      // What hangs there is user code (`__reduce__`), which would not notice that its connection has ended.
      await this.#keeper?.signal(serializer.pid, SIGKILL, this.#options.answerDeadlineMs).catch(() => undefined);
      throw error;
    } finally {
      this.#serializers.delete(serializer.pid);
    }
  }

  async memoryStatus(): Promise<SandboxMemory> {
    return (await this.#sandbox?.memoryStatus()) ?? { residentBytes: null, limitBytes: null, oomKills: null };
  }

  /** Ends everything in the sandbox and removes its files outside. Safe to call twice. */
  close(): Promise<void> {
    this.#endReason ??= "closed";
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    this.#isLiveRetired = true;
    await this.#sandbox?.kill();
    for (const snapshot of this.#snapshots) snapshot.drop();
    this.#snapshots.clear();
    this.#keeper?.disconnect();
    this.#live?.noteExit(null, null, [], true);
    this.#live?.disconnect();
    await this.#door?.close();
    await rm(this.#directory, { recursive: true, force: true });
  }

  async #start(): Promise<void> {
    const channelDirectory = join(this.#directory, "channel");
    await mkdir(channelDirectory, { recursive: true });
    const path = join(channelDirectory, CHANNEL_SOCKET_NAME);
    if (Buffer.byteLength(path) > SOCKET_PATH_MAX) throw new Error(`${path} is too long for a socket's path`);
    this.#door = await Door.open(path);
    const { startSandbox, sandbox } = this.#options;
    this.#sandbox = await startSandbox({ ...sandbox, id: this.#options.makeSandboxId(), channelDirectory });
    if (this.#endReason !== null) {
      await this.#sandbox.kill();
      return;
    }
    this.#sandbox.stderr.on("data", (chunk: Buffer) => {
      this.#stderr = (this.#stderr + chunk.toString()).slice(-STDERR_KEPT);
    });
    this.#sandbox.stdin.on("error", () => undefined);
    const ended = this.#sandbox.exited.then(({ code, signal }) => {
      const reason = `the sandbox ended (${signal ?? `exit code ${code}`})`;
      this.#noteSandboxEnd(reason);
      throw new Error(reason);
    });
    const stdin = this.#sandbox.stdin;
    const keeper = this.#admit(
      "keeper",
      (token) => stdin.end(`${token}\n`),
      (guest) =>
        new Keeper(guest, {
          exited: (pid, code, signal, leftovers) => {
            if (this.#live?.pid !== pid || this.#live.hasEnded) return;
            this.#live.noteExit(code, signal, leftovers);
            this.#hastenEnd(this.#live, END_SKEW_MS);
          },
          ended: (violation) => this.#break(violation?.message ?? "the keeper's connection ended"),
        }),
      this.#options.startDeadlineMs,
    );
    this.#keeper = await Promise.race([keeper, ended]);
    await Promise.race([this.#spawn(null), ended]);
    ended.catch(() => undefined);
  }

  async #spawn(snapshot: SnapshotProcess | null): Promise<void> {
    this.#live = await this.#admit(
      "live",
      (token) => (snapshot ?? this.#keeper)?.spawn(token),
      (guest) => {
        this.#liveGone = new Promise((resolve) => {
          this.#noteLiveGone = resolve;
        });
        this.#isLiveRetired = false;
        this.#needsSweep = true;
        return new LiveProcess(guest, {
          output: this.#listener.output,
          execution: this.#listener.execution,
          disconnected: (live, isViolation) => this.#hastenEnd(live, isViolation ? 0 : END_SKEW_MS),
          ended: (_live, end) => this.#noteLiveEnd(end),
        });
      },
    );
  }

  /** Has a process of `role` come; `make` takes its connection over within the very call that brought its hello. */
  async #admit<T>(
    role: Hello["role"],
    send: (token: string) => void,
    make: (guest: Guest) => T,
    deadlineMs: number = this.#options.answerDeadlineMs,
  ): Promise<T> {
    const door = this.#door;
    if (!door || this.#endReason !== null) throw new Unanswered("the sandbox has ended");
    let token = "";
    const admitted = new Promise<T>((resolve) => {
      token = door.invite(role, (guest) => resolve(make(guest)));
    });
    send(token);
    try {
      return await withDeadline(admitted, `the ${role}'s hello`, deadlineMs);
    } finally {
      door.revoke(token);
    }
  }

  async #sweep(): Promise<void> {
    if (!this.#keeper) throw new Unanswered("there is no keeper");
    this.#live?.allow(Number.POSITIVE_INFINITY);
    const keep = [...this.#snapshots].map((snapshot) => snapshot.pid);
    await this.#keeper.sweep([...keep, ...this.#serializers.keys()], this.#options.answerDeadlineMs);
    this.#needsSweep = false;
  }

  /** One of the two signs of a live process's end is there; past `delayMs` the other one is brought about. */
  #hastenEnd(live: LiveProcess, delayMs: number): void {
    if (live.hasEnded || this.#isLiveRetired) return;
    setTimeout(() => {
      if (live.hasEnded || live !== this.#live || !this.isUsable) return;
      this.#sweep()
        .then(() => withDeadline(this.#liveGone, "the interpreter's end", this.#options.answerDeadlineMs))
        .catch((error: Error) => this.#break(error.message));
    }, delayMs);
  }

  #noteLiveEnd(end: LiveEnd): void {
    this.#noteLiveGone();
    if (!this.#isLiveRetired) this.#listener.liveEnded(end);
  }

  #forget(snapshot: SnapshotProcess): void {
    if (this.#snapshots.delete(snapshot)) this.#listener.snapshotEnded(snapshot);
  }

  /** The sandbox cannot be trusted or does not answer: all of it ends. */
  #break(reason: string): void {
    if (this.#endReason !== null || !this.#sandbox) return;
    this.#endReason = reason;
    void this.#sandbox.kill().then(() => this.#announceEnd(reason));
  }

  #noteSandboxEnd(reason: string): void {
    if (this.#endReason !== null) return;
    this.#endReason = reason;
    this.#announceEnd(reason);
  }

  #announceEnd(reason: string): void {
    this.#live?.noteExit(null, null, [], true);
    this.#keeper?.disconnect();
    const { live } = this;
    if (!live) {
      this.#listener.sandboxEnded(reason);
      return;
    }
    const told = () => this.#listener.sandboxEnded(reason);
    withDeadline(this.#liveGone, "the connection's end", this.#options.answerDeadlineMs).then(told, () => {
      live.refuse(new ChannelViolation(reason));
      told();
    });
  }
}
