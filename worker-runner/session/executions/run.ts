/** Owns one run from `execute` to its last word: the clocks, the signals, and the one decision how it ended. */
import type { EventType } from "../../../src/protocol/event.ts";
import type { PendingInput } from "../../../src/protocol/server-message.ts";
import { ChannelViolation } from "../../channel/framing.ts";
import type { Interpreter } from "../../interpreter/interpreter.ts";
import type { ExecutionMessage, LiveEnd } from "../../interpreter/live.ts";
import type { StreamName } from "../../interpreter/output-cursor.ts";
import {
  displayFrame,
  inputFrame,
  jsonText,
  middleOf,
  outputFrame,
  outputFrameBytes,
  truncatedFrame,
} from "../events/event-frame.ts";
import type { Execution } from "./execution.ts";
import type { LastWord, StopReason } from "./outcome.ts";

const SIGINT = 2;
/**
 * At rest the interpreter ignores SIGINT, and so it does one that overtakes `execute`. So long after `execute`, and before anything
 * was heard of the execution, a signal may have been early; it is then sent again after these pauses, until something is heard.
 */
const EARLY_MS = 30;
const SIGNAL_AGAIN_MS = [40, 120, 300];
/** Until the code begins; nobody shall be stopped before their time. */
const ON_THE_WAY_MS = 5;
/** setTimeout's longest wait. */
const LONGEST_TIMER_MS = 2 ** 31 - 1;
/** What may still be read of a process that was told to stop while its output was held back. */
const STOPPING_ALLOWANCE_CHARACTERS = 1024 * 1024;
/** Output is cut no shorter, however small a window is: a frame costs more than what it carries. Any window takes one frame at a time. */
const SHORTEST_PIECE_CHARACTERS = 256;
/** What a question counts for as output, its prompt apart. */
const INPUT_CHARACTERS = 256;

export interface RunDuties {
  interpreter: Interpreter;
  graceMs: number;
  /** How much longer code may take that has noticed an interrupt. */
  noticedGraceMs: number;
  maxOutputCharacters: number;
  /** Bytes that a frame of output may have; 0: any number. */
  frameLimit(): number;
  emit(type: EventType, makeFrame: (seq: number) => string | Buffer): void;
  /** Whether the kernel has ended a process of this sandbox for memory since this was last asked. */
  hasRunOutOfMemory(): Promise<boolean>;
  /** Called once. `isAlive`: the interpreter is at rest again. */
  over(last: LastWord, stop: StopReason | null, isAlive: boolean): void;
}

export class Run {
  readonly execution: Execution;
  readonly #duties: RunDuties;
  /** `killing`: it will be known to have died, whatever it still says. */
  #phase: "running" | "stopping" | "killing" | "over" = "running";
  #stop: StopReason | null = null;
  readonly #startedAt = performance.now();
  readonly #timeout: NodeJS.Timeout;
  #grace: NodeJS.Timeout | undefined;
  #again: NodeJS.Timeout | undefined;
  /** Something came of the execution, so that its code has begun. */
  #isHeard = false;
  #pendingInput: PendingInput | null = null;
  #droppedBytes = 0;

  constructor(execution: Execution, duties: RunDuties) {
    this.execution = execution;
    this.#duties = duties;
    const timeoutMs = Math.min(execution.timeoutSeconds * 1000 + ON_THE_WAY_MS, LONGEST_TIMER_MS);
    this.#timeout = setTimeout(() => this.stop("timeout"), timeoutMs);
    duties.interpreter.live?.execute(execution.id, execution.code);
  }

  /** False once the last word is known. */
  get isOpen(): boolean {
    return this.#phase !== "over";
  }

  get pendingInput(): PendingInput | null {
    return this.#pendingInput && { ...this.#pendingInput, timeout: this.#secondsLeft() };
  }

  output(text: string, stream: StreamName): void {
    const { execution } = this;
    this.#isHeard = true;
    const room = this.#duties.maxOutputCharacters - execution.outputCharacters;
    execution.outputCharacters += text.length;
    if (text.length > room) {
      const shown = text.slice(0, Math.max(0, room));
      this.#droppedBytes += Buffer.byteLength(text) - Buffer.byteLength(shown);
      if (shown) this.#emitOutput(shown, stream);
      this.stop("output_limit");
      return;
    }
    this.#emitOutput(text, stream);
  }

  /** @throws ChannelViolation where it belongs to another execution or is not what it should be. */
  take(message: ExecutionMessage): void {
    const { context } = this.execution;
    if (message.execution_id !== this.execution.id) throw new ChannelViolation("a message for another execution");
    this.#isHeard = true;
    switch (message.type) {
      case "display":
        if (!this.#hasRoomFor(Object.values(message.mime).join("").length)) return;
        this.#duties.emit("display", (seq) => displayFrame(seq, context, message));
        return;
      case "input":
        if (!this.#hasRoomFor(message.prompt.length + INPUT_CHARACTERS)) return;
        this.#askInput(message);
        return;
      case "result": {
        const value = jsonText(message.value);
        if (value === null) throw new ChannelViolation("a result's value is not JSON");
        this.#end({ kind: "result", message: { ...message, value } });
        return;
      }
      case "error":
        this.#end({ kind: "error", message });
        return;
      default:
        message satisfies never;
    }
  }

  /** Whatever clients are sent counts as output; it is shown whole or not at all. */
  #hasRoomFor(characters: number): boolean {
    const { execution } = this;
    execution.outputCharacters += characters;
    if (execution.outputCharacters <= this.#duties.maxOutputCharacters) return true;
    this.#droppedBytes += characters;
    this.stop("output_limit");
    return false;
  }

  /** Answers the pending input. @returns false where nothing waits for `inputId`. */
  answerInput(inputId: string, value: string | null): boolean {
    if (this.#pendingInput?.input_id !== inputId || this.#phase === "over") return false;
    this.#pendingInput = null;
    this.#duties.interpreter.live?.answerInput(inputId, value);
    return true;
  }

  /**
   * Interrupts it, and kills what does not react. The first reason counts; another one is another interrupt.
   *
   * @param cleanUpMs how much longer code may take that has noticed it.
   */
  stop(reason: StopReason, cleanUpMs: number = this.#duties.noticedGraceMs): void {
    if (this.#phase !== "running" && this.#phase !== "stopping") return;
    // Only a request is another interrupt; what is printed past the limit while the code cleans up is none.
    if (this.#phase === "stopping" && reason === "output_limit") return;
    const { interpreter, graceMs } = this.#duties;
    // Not before it has the signal: code that prints as fast as it can would have used all of it up by then.
    void interpreter.signalLive(SIGINT).then(() => {
      if (this.#phase === "stopping") interpreter.live?.allow(STOPPING_ALLOWANCE_CHARACTERS);
    });
    if (this.#phase === "stopping") return;
    this.#phase = "stopping";
    this.#stop = reason;
    clearTimeout(this.#timeout);
    if (!this.#isHeard && performance.now() - this.#startedAt < EARLY_MS) this.#signalAgain(0);
    this.#grace = setTimeout(() => void this.#endGrace(cleanUpMs), graceMs);
  }

  /** Code that has noticed an interrupt, or a cancel, may take its time to clean up; its time limit knows no such mercy. */
  async #endGrace(cleanUpMs: number): Promise<void> {
    const { interpreter } = this.#duties;
    const mayGoOn = this.#stop === "interrupted" || this.#stop === "cancelled";
    if (mayGoOn && (await interpreter.hasNoticedInterrupt())) {
      if (this.#phase === "stopping") this.#grace = setTimeout(() => this.#kill(), cleanUpMs);
    } else if (this.#phase === "stopping") {
      this.#kill();
    }
  }

  #kill(): void {
    this.#phase = "killing";
    this.#duties.interpreter.killLive();
  }

  #signalAgain(attempt: number): void {
    const pauseMs = SIGNAL_AGAIN_MS[attempt];
    if (pauseMs === undefined) return;
    this.#again = setTimeout(() => {
      if (this.#phase !== "stopping" || this.#isHeard) return;
      void this.#duties.interpreter.signalLive(SIGINT);
      this.#signalAgain(attempt + 1);
    }, pauseMs);
  }

  /** The live process is gone, and has told all its output. */
  noteDeath(end: LiveEnd): void {
    if (this.#phase === "over") return;
    const seconds = (performance.now() - this.#startedAt) / 1000;
    this.#leave();
    void this.#duties.hasRunOutOfMemory().then((isOutOfMemory) => {
      this.#duties.over({ kind: "died", end, isOutOfMemory, seconds }, this.#stop, false);
    });
  }

  /** The session ends: nothing more is said about it. */
  abandon(): void {
    this.#leave();
  }

  #end(last: LastWord): void {
    if (this.#phase === "killing" || this.#phase === "over") return;
    this.#leave();
    this.#duties.over(last, this.#stop, true);
  }

  #leave(): void {
    this.#phase = "over";
    this.#pendingInput = null;
    clearTimeout(this.#timeout);
    clearTimeout(this.#grace);
    clearTimeout(this.#again);
    if (this.#droppedBytes > 0) this.#emitTruncated(this.#droppedBytes);
  }

  #askInput(message: Extract<ExecutionMessage, { type: "input" }>): void {
    const { input_id, prompt, password } = message;
    const { context, id } = this.execution;
    const timeout = this.#secondsLeft();
    this.#pendingInput = { input_id, prompt, password, timeout, execution_id: id };
    this.#duties.emit("input", (seq) => inputFrame(seq, context, message, timeout));
  }

  #secondsLeft(): number {
    const spent = (performance.now() - this.#startedAt) / 1000;
    return Math.max(0, this.execution.timeoutSeconds - spent);
  }

  #emitOutput(text: string, stream: StreamName): void {
    const { context } = this.execution;
    const limit = this.#duties.frameLimit();
    if (limit > 0 && text.length > SHORTEST_PIECE_CHARACTERS && outputFrameBytes(context, text) > limit) {
      const middle = middleOf(text);
      this.#emitOutput(text.slice(0, middle), stream);
      this.#emitOutput(text.slice(middle), stream);
      return;
    }
    this.#duties.emit("output", (seq) => outputFrame(seq, context, text, stream));
  }

  #emitTruncated(droppedBytes: number): void {
    const { context } = this.execution;
    const reason = "the execution wrote more output than it may";
    this.#duties.emit("output_truncated", (seq) => truncatedFrame(seq, context, droppedBytes, reason));
  }
}
