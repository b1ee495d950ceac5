/** Owns the one live process of a sandbox: starts, signals and ends it, and keeps its state. */
import type { Peer } from "../channel/door.ts";
import type { MessageOf } from "../channel/message.ts";
import { withDeadline } from "../deadline.ts";
import type { ProcessExit } from "./keeper.ts";
import { Live, type LiveEnd } from "./live.ts";
import type { OutputPiece } from "./output-cursor.ts";
import type { SandboxRoom } from "./sandbox-room.ts";

/**
 * The socket's close and the keeper's `exited` message normally arrive within milliseconds of each other. If the second is this late,
 * the process is killed.
 */
const END_SKEW_MS = 250;

/** A process, and the promise that resolves once it has ended. */
interface Occupant {
  live: Live;
  gone: Promise<void>;
  noteGone(): void;
}

/** `retiring`: the runner ends the process to replace it, so its end is not reported. */
type Slot = { state: "none" } | { state: "starting" } | ({ state: "running" | "retiring" } & Occupant);

export interface LiveSlotOptions {
  room: SandboxRoom;
  answerDeadlineMs: number;
  /** @returns the pids that a sweep must spare. Every other process of the sandbox is ended. */
  pidsToKeep(): number[];
  /** The live process ended, and the runner had not asked for it. All its output was delivered before. */
  onEnded(end: LiveEnd): void;
  onReinstall(live: Live, message: MessageOf<"reinstall">): void;
}

export class LiveSlot {
  readonly #options: LiveSlotOptions;
  #slot: Slot = { state: "none" };
  /** True if a live process ran since the last sweep: it may have left other processes behind. */
  #needsSweep = false;
  /** Resolves once the last signal was answered; null if none is unanswered. */
  #lastSignal: Promise<void> | null = null;

  constructor(options: LiveSlotOptions) {
    this.#options = options;
  }

  /** The process that runs code, or null if there is none. */
  get live(): Live | null {
    return "live" in this.#slot && !this.#slot.live.hasEnded ? this.#slot.live : null;
  }

  /** Null if every signal was answered; otherwise resolves when that is the case. */
  get signalsAnswered(): Promise<void> | null {
    return this.#lastSignal;
  }

  /** Waits for a process to come, and makes it the live one. @param admit has it come. */
  async start(admit: (onHello: (peer: Peer) => Live) => Promise<unknown>): Promise<void> {
    this.#slot = { state: "starting" };
    await admit((peer) => {
      const { promise: gone, resolve: noteGone } = Promise.withResolvers<void>();
      const live = new Live(peer, {
        onDisconnected: (live, isViolation) => this.#hastenEnd(live, isViolation ? 0 : END_SKEW_MS),
        onEnded: (live, end) => this.#noteEnd(live, end),
        onReinstall: (live, message) => this.#options.onReinstall(live, message),
      });
      this.#slot = { state: "running", live, gone, noteGone };
      this.#needsSweep = true;
      return live;
    });
  }

  /** Sends a signal to the live process. Resolves when it was sent, or cannot be. */
  signal(signal: number): Promise<void> {
    const { room, answerDeadlineMs } = this.#options;
    const { live } = this;
    if (!live || !room.isUsable) return Promise.resolve();
    const answered = room.keeper
      .signal(live.pid, signal, answerDeadlineMs)
      .then(
        () => undefined,
        (error: Error) => room.breakDown(error.message),
      )
      .finally(() => {
        if (this.#lastSignal === answered) this.#lastSignal = null;
      });
    this.#lastSignal = answered;
    return answered;
  }

  /** Kills the live process and every process that it started, unless it is ending already. */
  kill(): void {
    if (this.#slot.state === "running" && this.live) void this.#end();
  }

  /** Ends the live process, if there is one, and every process that it started. Its end is not reported. */
  async clear(): Promise<void> {
    this.retire();
    if (this.#needsSweep || this.live) await this.#sweep();
    await this.waitUntilGone();
  }

  /** From now on the end of the live process is not reported. */
  retire(): void {
    if (this.#slot.state === "running") this.#slot = { ...this.#slot, state: "retiring" };
  }

  /** Resolves once the live process has ended. @throws DeadlinePassed. */
  waitUntilGone(): Promise<void> {
    const gone = "gone" in this.#slot ? this.#slot.gone : Promise.resolve();
    return withDeadline(gone, "the interpreter's end", this.#options.answerDeadlineMs);
  }

  /** The keeper reports the end of the process `pid`. */
  noteExit(pid: number, exit: ProcessExit, leftovers: OutputPiece[]): void {
    const { live } = this;
    if (live?.pid !== pid) return;
    live.noteExit(exit, leftovers);
    this.#hastenEnd(live, END_SKEW_MS);
  }

  /** The sandbox has ended, and the live process with it. */
  noteSandboxEnd(): void {
    this.live?.noteExit({ code: null, signal: null, begun: Number.POSITIVE_INFINITY }, [], true);
  }

  /** Reads what the process has still sent. A socket of which nothing is read does not report its end. */
  readAll(): void {
    if ("live" in this.#slot) this.#slot.live.allow(Number.POSITIVE_INFINITY);
  }

  disconnect(): void {
    if ("live" in this.#slot) this.#slot.live.disconnect();
  }

  /** Ends the live process and every process that it started. If it does not end, the sandbox does. */
  async #end(): Promise<void> {
    const gone = "gone" in this.#slot ? this.#slot.gone : Promise.resolve();
    const { room, answerDeadlineMs } = this.#options;
    try {
      await this.#sweep();
      await withDeadline(gone, "the interpreter's end", answerDeadlineMs);
    } catch (error) {
      room.breakDown((error as Error).message);
    }
  }

  async #sweep(): Promise<void> {
    const { room, answerDeadlineMs, pidsToKeep } = this.#options;
    this.readAll();
    const livePid = "live" in this.#slot ? this.#slot.live.pid : null;
    await room.keeper.sweep(
      pidsToKeep().filter((pid) => pid !== livePid),
      answerDeadlineMs,
    );
    this.#needsSweep = false;
    if ("live" in this.#slot) this.#slot.live.noteSwept();
  }

  /** One of the two signs of the process's end has arrived. If the other one does not arrive within `delayMs`, the process is ended. */
  #hastenEnd(live: Live, delayMs: number): void {
    const isRunning = () => this.#slot.state === "running" && this.#slot.live === live && !live.hasEnded;
    if (!isRunning()) return;
    setTimeout(() => {
      if (isRunning() && this.#options.room.isUsable) void this.#end();
    }, delayMs);
  }

  #noteEnd(live: Live, end: LiveEnd): void {
    const slot = this.#slot;
    if (!("live" in slot) || slot.live !== live) return;
    this.#slot = { state: "none" };
    slot.noteGone();
    if (slot.state === "running") this.#options.onEnded(end);
  }
}
