/** Owns the runner's end of one live process: its messages, the questions to it, and the moment at which it has ended. */
import { createReadStream } from "node:fs";
import type { Connection } from "../channel/connection.ts";
import type { Peer } from "../channel/door.ts";
import { ChannelViolation, FrameKind, MAX_PIECE_BYTES } from "../channel/framing.ts";
import { type LiveAnswer, LiveMessage, type MessageOf } from "../channel/message.ts";
import { parseMessage } from "../channel/parse-message.ts";
import type { OfferedTools, SessionEnv, ToolAnswer } from "../channel/runner-message.ts";
import type { InstallOutcome } from "./installer.ts";
import type { ProcessExit } from "./keeper.ts";
import { OutputCursor, type OutputPiece, readOutputFrame, type StreamName } from "./output-cursor.ts";
import { PendingAnswers } from "./pending-answers.ts";

/** The last frames of an ended process arrive well within this time. */
const SILENCE_AFTER_EXIT_MS = 250;

/** A message that belongs to an execution. */
export type ExecutionMessage = Extract<LiveMessage, { execution_id: string }>;

/** How a live process ended. All its output was delivered before. */
export interface LiveEnd {
  code: number | null;
  signal: number | null;
  /** False if the code that it was sent last had not begun. */
  wasRunning: boolean;
  /** The rule of the channel that it broke. */
  violation: string | null;
  /** The whole sandbox ended, and the keeper could not say how this process did. */
  isSandboxGone: boolean;
}

/** Takes the messages of one execution. */
export interface ExecutionListener {
  /** False once the execution has ended: no more messages may come. */
  readonly isOpen: boolean;
  onOutput(text: string, stream: StreamName): void;
  /** @throws ChannelViolation if the message belongs to another execution. */
  onMessage(message: ExecutionMessage): void;
}

export interface LiveListener {
  /** The connection has ended. How the process ended is not known yet. */
  onDisconnected(live: Live, isViolation: boolean): void;
  onEnded(live: Live, end: LiveEnd): void;
  /** While a blob is loaded, it needs packages; `answerInstall` must follow. */
  onReinstall(live: Live, message: MessageOf<"reinstall">): void;
}

export interface SnapshotOrder {
  /** The copy shows it when it connects. */
  token: string;
  /** Pids of copies to end first. */
  drop: number[];
  maxResidentBytes: number | null;
  isResting: boolean;
}

export class Live {
  readonly pid: number;
  /** How many executions it was sent. */
  executions = 0;
  readonly #connection: Connection;
  readonly #listener: LiveListener;
  readonly #cursor = new OutputCursor();
  readonly #answers = new PendingAnswers<LiveAnswer>();
  #isConnected = true;
  #exit: (ProcessExit & { isSandboxGone: boolean; leftovers: OutputPiece[] }) | null = null;
  #violation: string | null = null;
  #end: LiveEnd | null = null;
  #isHeld = false;
  #isLoading = false;
  /** Characters that are read although output is held back; infinite once the process is being ended. */
  #allowance = 0;
  #execution: ExecutionListener | null = null;

  constructor(peer: Peer, listener: LiveListener) {
    this.pid = peer.hello.pid;
    this.#connection = peer.connection;
    this.#listener = listener;
    peer.connection.adopt(
      (kind, payload) => this.#take(kind, payload),
      (cause) => this.#disconnect(cause),
    );
  }

  get hasEnded(): boolean {
    return this.#end !== null;
  }

  get isConnected(): boolean {
    return this.#isConnected;
  }

  /** Sends code. `listener` gets every message of it. */
  execute(
    executionId: string,
    code: string,
    { offered, env }: { offered: OfferedTools | null; env: SessionEnv | null },
    listener: ExecutionListener,
  ): void {
    this.#allowance = 0;
    this.#execution = listener;
    this.executions += 1;
    this.#connection.send({
      type: "execute",
      execution_id: executionId,
      code,
      ...offered,
      ...(env === null ? {} : { env }),
    });
  }

  answerTool(answer: ToolAnswer): void {
    this.#connection.send(answer);
  }

  answerInstall(installId: string, { status, detail }: InstallOutcome): void {
    this.#connection.send({ type: "install_answer", install_id: installId, status, detail });
  }

  answerInput(inputId: string, value: string | null): void {
    this.#connection.send({ type: "input_response", input_id: inputId, value });
  }

  snapshot(
    { token, drop, maxResidentBytes, isResting }: SnapshotOrder,
    deadlineMs: number,
  ): Promise<MessageOf<"snapshot_taken"> | MessageOf<"snapshot_declined">> {
    return this.#ask(["snapshot_taken", "snapshot_declined"], deadlineMs, (id) => {
      const limit = maxResidentBytes === null ? {} : { max_resident_bytes: maxResidentBytes };
      const rest = isResting ? { is_resting: true } : {};
      this.#connection.send({ type: "snapshot", id, token, drop, ...limit, ...rest });
    });
  }

  /** Ends these copies and waits for their end. The answer names every copy that has ended, also those that died by themselves. */
  reap(drop: number[], deadlineMs: number): Promise<MessageOf<"reaped">> {
    return this.#ask(["reaped"], deadlineMs, (id) => {
      this.#connection.send({ type: "reap", id, drop });
    });
  }

  complete(code: string, cursor: number, deadlineMs: number): Promise<MessageOf<"completions">> {
    return this.#ask(["completions"], deadlineMs, (id) => {
      this.#connection.send({ type: "complete", id, code, cursor });
    });
  }

  isComplete(code: string, deadlineMs: number): Promise<MessageOf<"completeness">> {
    return this.#ask(["completeness"], deadlineMs, (id) => {
      this.#connection.send({ type: "is_complete", id, code });
    });
  }

  variables(deadlineMs: number): Promise<MessageOf<"variables">> {
    return this.#ask(["variables"], deadlineMs, (id) => {
      this.#connection.send({ type: "variables", id });
    });
  }

  /** Streams the blob in the file `blobPath` into the process. */
  async load(
    blobPath: string,
    isClearing: boolean,
    deadlineMs: number,
  ): Promise<MessageOf<"loaded"> | MessageOf<"load_failed">> {
    const answer = this.#ask(["loaded", "load_failed"], deadlineMs, (id) => {
      this.#connection.send({ type: "load", id, clear_existing: isClearing });
    });
    let isAnswered = false;
    this.#isLoading = true;
    const noteAnswer = () => {
      isAnswered = true;
      this.#isLoading = false;
    };
    answer.then(noteAnswer, noteAnswer);
    for await (const piece of createReadStream(blobPath, { highWaterMark: MAX_PIECE_BYTES })) {
      if (isAnswered && !this.#isConnected) break;
      await this.#connection.sendPiece(piece as Buffer);
    }
    await this.#connection.sendPiece(new Uint8Array(0));
    return answer;
  }

  /** Stops or resumes reading, so that Python blocks in `write`. */
  hold(isHeld: boolean): void {
    this.#isHeld = isHeld;
    this.#applyHold();
  }

  /** While an answer is due, reading goes on, so that the answer does not seem late. It precedes the output that is held back. */
  #applyHold(): void {
    if (this.#isHeld && this.#allowance <= 0 && this.#answers.count === 0) this.#connection.pause();
    else this.#connection.resume();
  }

  /** Reads up to `characters` more, even while output is held back: a process that was told to stop must be able to report its end. */
  allow(characters: number): void {
    this.#allowance = characters;
    this.#connection.resume();
  }

  /** Ends the connection because of an invalid message. */
  refuse(violation: ChannelViolation): void {
    this.#connection.destroy(violation);
  }

  /** Ends the connection; the process exits by itself. */
  disconnect(): void {
    this.#connection.destroy();
  }

  /** The keeper reports how the process ended, and delivers the output that the process had not sent. */
  noteExit(exit: ProcessExit, leftovers: OutputPiece[], isSandboxGone = false): void {
    if (this.#exit) return;
    this.#exit = { ...exit, isSandboxGone, leftovers };
    this.allow(Number.POSITIVE_INFINITY);
    this.#settle();
  }

  /**
   * Only copies are left beside this process. If it has ended and its connection has not, a copy that hangs in its fork holds the
   * connection: what was sent is read, then the connection is ended.
   */
  noteSwept(): void {
    if (this.#exit) this.#connection.endWhenSilent(SILENCE_AFTER_EXIT_MS);
  }

  #ask<T extends LiveAnswer["type"]>(
    types: [T, ...T[]],
    deadlineMs: number,
    send: (id: string) => void,
  ): Promise<MessageOf<T>> {
    return this.#answers.ask(types[0], deadlineMs, send).then((answer) => {
      if ((types as string[]).includes(answer.type)) return answer as MessageOf<T>;
      const violation = new ChannelViolation(`${answer.type} does not answer the question`);
      this.refuse(violation);
      throw violation;
    });
  }

  #take(kind: number, payload: Buffer): void {
    if (kind === FrameKind.output) {
      this.#takeOutput(readOutputFrame(payload));
      return;
    }
    if (kind !== FrameKind.json) throw new ChannelViolation("a live process sent a blob");
    const message = parseMessage(LiveMessage, payload);
    if (message.type === "unsupported") {
      throw new ChannelViolation(`the live process does not know the message ${message.message_type}`);
    }
    if (message.type === "output") {
      this.#takeOutput({ offset: message.offset, stream: message.stream, text: message.data });
    } else if (message.type === "reinstall") {
      if (!this.#isLoading) throw new ChannelViolation("a request to install packages while nothing is loaded");
      this.#listener.onReinstall(this, message);
    } else if ("execution_id" in message) {
      if (!this.#execution?.isOpen) throw new ChannelViolation(`${message.type} while nothing runs`);
      this.#execution.onMessage(message);
    } else {
      this.#answers.settle(message);
      if (this.#isHeld) this.#applyHold();
    }
  }

  #takeOutput(piece: OutputPiece): void {
    const text = this.#cursor.next(piece);
    if (this.#allowance > 0) {
      this.#allowance -= text.length;
      if (this.#isHeld) this.#applyHold();
    }
    if (text) this.#giveOutput(text, piece.stream);
  }

  /** @throws ChannelViolation if nothing runs. */
  #giveOutput(text: string, stream: StreamName): void {
    if (!this.#execution?.isOpen) throw new ChannelViolation("output while nothing runs");
    this.#execution.onOutput(text, stream);
  }

  #disconnect(cause: Error | null): void {
    this.#isConnected = false;
    this.#violation = cause?.message ?? null;
    this.#answers.end("the interpreter ended");
    this.#listener.onDisconnected(this, cause !== null);
    this.#settle();
  }

  #settle(): void {
    if (this.#isConnected || !this.#exit || this.#end) return;
    for (const piece of this.#exit.leftovers) {
      const text = this.#cursor.rest(piece);
      if (text) this.#giveOutput(text, piece.stream);
    }
    const { code, signal, begun, isSandboxGone } = this.#exit;
    this.#end = { code, signal, isSandboxGone, wasRunning: begun >= this.executions, violation: this.#violation };
    this.#listener.onEnded(this, this.#end);
  }
}
