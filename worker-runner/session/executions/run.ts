/** Owns one run of an execution, from sending its code to its last message. */
import type { PendingInput } from "../../../src/protocol/server-message.ts";
import { ChannelViolation } from "../../channel/framing.ts";
import type { Interpreter } from "../../interpreter/interpreter.ts";
import type { ExecutionListener, ExecutionMessage, LiveEnd } from "../../interpreter/live.ts";
import type { StreamName } from "../../interpreter/output-cursor.ts";
import { clearOutputFrame, displayFrame, inputFrame, jsonText, truncatedFrame } from "../events/event-frame.ts";
import type { SessionSettings } from "../session-options.ts";
import type { Recovery } from "../state/recovery.ts";
import type { Execution } from "./execution.ts";
import type { LastWord, StopReason } from "./outcome.ts";
import { StopSequence } from "./stop-sequence.ts";
import { ToolCalls } from "./tool-calls.ts";

/** How many characters of output an input request counts as, beside its prompt. */
const INPUT_CHARACTERS = 256;
/** Counted against the output limit for a `clear_output`, whose frame has no text of its own. */
const CLEAR_OUTPUT_CHARACTERS = 256;

/** Called once at the end of a run. `isAlive`: the interpreter is at rest again. */
export type RunEnded = (last: LastWord, stop: StopReason | null, isAlive: boolean) => void;

export class Run implements ExecutionListener {
  readonly execution: Execution;
  readonly #interpreter: Interpreter;
  readonly #recovery: Recovery;
  readonly #maxOutputCharacters: number;
  readonly #onEnded: RunEnded;
  readonly #stopping: StopSequence;
  readonly toolCalls: ToolCalls;
  #pendingInput: PendingInput | null = null;
  #installation: AbortController | null = null;
  #outputCharacters = 0;
  #droppedBytes = 0;

  constructor(execution: Execution, recovery: Recovery, settings: SessionSettings, onEnded: RunEnded) {
    this.execution = execution;
    this.#recovery = recovery;
    this.#interpreter = recovery.interpreter;
    this.#maxOutputCharacters = settings.outputMaxCharacters;
    this.#onEnded = onEnded;
    const stopping = new StopSequence(this.#interpreter, settings, execution.timeoutSeconds);
    this.#stopping = stopping;
    this.toolCalls = new ToolCalls(execution, {
      takeRoom: (characters) => this.#hasRoomFor(characters),
      answer: (answer) => this.#interpreter.live?.answerTool(answer),
      onWaiting: (isWaiting) => (isWaiting ? stopping.timeLimit.pause() : stopping.timeLimit.resume()),
    });
  }

  /** Sends the code. */
  begin(): void {
    const { execution } = this;
    this.#interpreter.live?.execute(
      execution.id,
      execution.code,
      { offered: execution.offered, env: execution.env },
      this,
    );
  }

  /** False once the last message is known. */
  get isOpen(): boolean {
    return this.#stopping.phase !== "over";
  }

  get pendingInput(): PendingInput | null {
    return this.#pendingInput && { ...this.#pendingInput, timeout: this.#secondsLeft() };
  }

  onOutput(text: string, stream: StreamName): void {
    this.#stopping.hasSpoken = true;
    const room = this.#maxOutputCharacters - this.#outputCharacters;
    this.#outputCharacters += text.length;
    if (text.length > room) {
      const shown = text.slice(0, Math.max(0, room));
      this.#droppedBytes += Buffer.byteLength(text) - Buffer.byteLength(shown);
      if (shown) this.execution.events.emitOutput(shown, stream);
      this.stop("output_limit");
      return;
    }
    this.execution.events.emitOutput(text, stream);
  }

  /** @throws ChannelViolation if the message belongs to another execution or is invalid. */
  onMessage(message: ExecutionMessage): void {
    const { events } = this.execution;
    if (message.execution_id !== this.execution.id) throw new ChannelViolation("a message for another execution");
    this.#stopping.hasSpoken = true;
    switch (message.type) {
      case "display":
        if (!this.#hasRoomFor(Object.values(message.mime).join("").length)) return;
        events.emitDisplay("display", (seq, context) => displayFrame(seq, context, message));
        return;
      case "clear_output":
        if (!this.#hasRoomFor(CLEAR_OUTPUT_CHARACTERS)) return;
        events.emitDisplay("clear_output", (seq, context) => clearOutputFrame(seq, context, message));
        return;
      case "input":
        if (!this.#hasRoomFor(message.prompt.length + INPUT_CHARACTERS)) return;
        this.#askInput(message);
        return;
      case "tool_call":
        this.toolCalls.begin(message);
        return;
      case "tool_cancel":
        this.toolCalls.cancel(message.call_id);
        return;
      case "install":
        void this.#install(message);
        return;
      case "install_cancel":
        this.#installation?.abort(new Error("it was stopped"));
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

  async #install({ install_id, arguments: words, cwd }: Extract<ExecutionMessage, { type: "install" }>): Promise<void> {
    const { installations, live } = this.#interpreter;
    const installation = new AbortController();
    this.#installation ??= installation;
    const outcome = await installations.install({ arguments: words, cwd, isQuiet: false }, installation.signal);
    if (this.#installation === installation) this.#installation = null;
    live?.answerInstall(install_id, outcome);
  }

  /** Everything that clients are sent counts as output. A display or an input request is sent whole or not at all. */
  #hasRoomFor(characters: number): boolean {
    this.#outputCharacters += characters;
    if (this.#outputCharacters <= this.#maxOutputCharacters) return true;
    this.#droppedBytes += characters;
    this.stop("output_limit");
    return false;
  }

  /** Answers the pending input. @returns false if nothing waits for `inputId`. */
  answerInput(inputId: string, value: string | null): boolean {
    if (this.#pendingInput?.input_id !== inputId || !this.isOpen) return false;
    this.#pendingInput = null;
    this.#interpreter.live?.answerInput(inputId, value);
    return true;
  }

  /** Interrupts the code, and kills it if it does not stop. @param cleanUpMs see `StopSequence.stop`. */
  stop(reason: StopReason, cleanUpMs?: number): void {
    this.#stopping.stop(reason, cleanUpMs);
  }

  /** The live process has ended. All its output was delivered before. */
  noteDeath(end: LiveEnd): void {
    if (!this.isOpen) return;
    const seconds = this.#stopping.elapsedSeconds;
    this.toolCalls.endAll(this.#stopping.reason === null ? "lost" : "cancelled");
    this.#leave();
    void this.#recovery.hasRunOutOfMemory().then((isOutOfMemory) => {
      this.#onEnded({ kind: "died", end, isOutOfMemory, seconds }, this.#stopping.reason, false);
    });
  }

  /** The session ends: the run reports nothing more. */
  abandon(): void {
    this.#leave();
  }

  #end(last: LastWord): void {
    const { phase } = this.#stopping;
    if (phase === "killing" || phase === "over") return;
    this.#leave();
    this.#onEnded(last, this.#stopping.reason, true);
  }

  /** True if the execution has sent something, so that its code has begun. */
  get hasSpoken(): boolean {
    return this.#stopping.hasSpoken;
  }

  #leave(): void {
    this.#stopping.end();
    this.#pendingInput = null;
    this.#installation?.abort(new Error("its execution has ended"));
    this.toolCalls.endAll("cancelled");
    if (this.#droppedBytes > 0) this.#emitTruncated();
  }

  #askInput(message: Extract<ExecutionMessage, { type: "input" }>): void {
    const { input_id, prompt, password } = message;
    const { events, id } = this.execution;
    const timeout = this.#secondsLeft();
    this.#pendingInput = { input_id, prompt, password, timeout, execution_id: id };
    events.emit("input", (seq, context) => inputFrame(seq, context, message, timeout));
  }

  #secondsLeft(): number {
    return this.#stopping.timeLimit.secondsLeft;
  }

  #emitTruncated(): void {
    const { events } = this.execution;
    const reason = "the execution wrote more output than it may";
    events.emit("output_truncated", (seq, context) => truncatedFrame(seq, context, this.#droppedBytes, reason));
  }
}
