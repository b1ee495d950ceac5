/** Owns the processes of one sandbox. The live process is in `live-slot.ts`, its frozen copies are in `copies.ts`. */
import { newToken } from "../channel/door.ts";
import { ChannelViolation } from "../channel/framing.ts";
import type { PythonVersion, SerializerMessage } from "../channel/message.ts";
import { withDeadline } from "../deadline.ts";
import type { SandboxMemory } from "../sandbox/sandbox-contract.ts";
import { Copies } from "./copies.ts";
import { FileProcess } from "./file-process.ts";
import { Installations } from "./installations.ts";
import type { InterpreterOptions } from "./interpreter-options.ts";
import type { Live, LiveEnd } from "./live.ts";
import { LiveSlot } from "./live-slot.ts";
import { SandboxRoom } from "./sandbox-room.ts";
import { type BlobSink, Serializer } from "./serializer.ts";
import type { Snapshot } from "./snapshot.ts";

const SIGKILL = 9;
export interface InterpreterListener {
  /** The live process ended, and the runner had not asked for it. All its output was delivered before. */
  onLiveEnded(end: LiveEnd): void;
  onSnapshotEnded(snapshot: Snapshot): void;
  /** The sandbox has ended. `onLiveEnded` was called before. */
  onSandboxEnded(reason: string): void;
}

export class Interpreter {
  readonly installations: Installations;
  readonly copies: Copies;
  readonly #options: InterpreterOptions;
  readonly #listener: InterpreterListener;
  readonly #room: SandboxRoom;
  readonly #slot: LiveSlot;
  readonly #serializers = new Set<Serializer>();

  private constructor(directory: string, options: InterpreterOptions, listener: InterpreterListener) {
    this.#options = options;
    this.#listener = listener;
    this.#room = new SandboxRoom(directory, options, {
      onExited: (pid, exit, leftovers) => {
        this.copies.noteEnded([pid]);
        this.#slot.noteExit(pid, exit, leftovers);
      },
      onEnded: (reason) => this.#noteSandboxEnd(reason),
    });
    this.#slot = new LiveSlot({
      room: this.#room,
      answerDeadlineMs: options.answerDeadlineMs,
      pidsToKeep: () => [...this.copies.pidsToKeep(), ...[...this.#serializers].map(({ pid }) => pid)],
      onEnded: (end) => listener.onLiveEnded(end),
      onReinstall: (live, message) => void this.installations.reinstall(live, message),
    });
    this.copies = new Copies(this.#room, this.#slot, options.answerDeadlineMs, (snapshot) =>
      listener.onSnapshotEnded(snapshot),
    );
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
    this.copies.dropAll();
    await closing;
    this.#slot.noteSandboxEnd();
    this.#slot.disconnect();
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
        if (snapshot) this.copies.noteMoved(snapshot, live, peer.hello.snapshot_pid ?? 0);
      }),
    );
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
