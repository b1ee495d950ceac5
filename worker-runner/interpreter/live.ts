/** Owns one live process as the runner sees it: what it says, what is asked of it, and the one moment at which it has ended. */
import { createReadStream } from "node:fs";
import type { Connection } from "../channel/connection.ts";
import type { Guest } from "../channel/door.ts";
import { ChannelViolation, FrameKind, MAX_PIECE_BYTES } from "../channel/framing.ts";
import { type LiveAnswer, LiveMessage, type MessageOf, parseMessage } from "../channel/message.ts";
import { OutputCursor, type OutputPiece, readOutputFrame, type StreamName } from "./output-cursor.ts";
import { PendingAnswers } from "./pending-answers.ts";

/** What belongs to an execution. */
export type ExecutionMessage = Extract<LiveMessage, { execution_id: string }>;

/** How a live process ended; all its output has been told before. */
export interface LiveEnd {
  code: number | null;
  signal: number | null;
  /** What it sent that it must not. */
  violation: string | null;
  /** The whole sandbox ended, and the keeper could not say how this process did. */
  isSandboxGone: boolean;
}

export interface LiveListener {
  output(text: string, stream: StreamName): void;
  /** @throws ChannelViolation where the message belongs to no running execution. */
  execution(message: ExecutionMessage): void;
  /** The connection is over or broken; how the process ended is not known yet. */
  disconnected(live: Live, isViolation: boolean): void;
  ended(live: Live, end: LiveEnd): void;
}

export class Live {
  readonly pid: number;
  readonly #connection: Connection;
  readonly #listener: LiveListener;
  readonly #cursor = new OutputCursor();
  readonly #answers = new PendingAnswers<LiveAnswer>();
  #isConnected = true;
  #exit: { code: number | null; signal: number | null; isSandboxGone: boolean; leftovers: OutputPiece[] } | null = null;
  #violation: string | null = null;
  #end: LiveEnd | null = null;
  #isHeld = false;
  /** Characters that are read although the reader holds back; infinite once the process is being ended. */
  #allowance = 0;

  constructor(guest: Guest, listener: LiveListener) {
    this.pid = guest.hello.pid;
    this.#connection = guest.connection;
    this.#listener = listener;
    guest.connection.adopt(
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

  execute(executionId: string, code: string): void {
    this.#allowance = 0;
    this.#connection.send({ type: "execute", execution_id: executionId, code });
  }

  answerInput(inputId: string, value: string | null): void {
    this.#connection.send({ type: "input_response", input_id: inputId, value });
  }

  /** @param drop pids of copies to be ended before. */
  snapshot(
    token: string,
    drop: number[],
    maxResidentBytes: number | null,
    deadlineMs: number,
  ): Promise<MessageOf<"snapshot_taken"> | MessageOf<"snapshot_declined">> {
    return this.#ask(["snapshot_taken", "snapshot_declined"], deadlineMs, (id) => {
      const limit = maxResidentBytes === null ? {} : { max_resident_bytes: maxResidentBytes };
      this.#connection.send({ type: "snapshot", id, token, drop, ...limit });
    });
  }

  /** Ends copies that nobody needs. */
  drop(pids: number[]): void {
    this.#connection.send({ type: "drop", pids });
  }

  /** Ends copies that nobody needs, waits for that, and says which of its copies have ended: these, and those that did by themselves. */
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

  /** Streams the blob in the runner's own file `blobPath` into the process. */
  async load(
    blobPath: string,
    isClearing: boolean,
    deadlineMs: number,
  ): Promise<MessageOf<"loaded"> | MessageOf<"load_failed">> {
    const answer = this.#ask(["loaded", "load_failed"], deadlineMs, (id) => {
      this.#connection.send({ type: "load", id, clear_existing: isClearing });
    });
    let isAnswered = false;
    const noteAnswer = () => {
      isAnswered = true;
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

  /** Answers that are due are read first, lest they seem late; they come before the output that is held back. */
  #applyHold(): void {
    if (this.#isHeld && this.#allowance <= 0 && this.#answers.count === 0) this.#connection.pause();
    else this.#connection.resume();
  }

  /** Reads up to so many characters more, held or not: a process that is to stop must be able to say so. */
  allow(characters: number): void {
    this.#allowance = characters;
    this.#connection.resume();
  }

  /** Ends the connection because of what came over it. */
  refuse(violation: ChannelViolation): void {
    this.#connection.destroy(violation);
  }

  /** Ends the connection; the process exits by itself. */
  disconnect(): void {
    this.#connection.destroy();
  }

  /** The keeper says how the process ended and hands over what it had not sent. */
  noteExit(code: number | null, signal: number | null, leftovers: OutputPiece[], isSandboxGone = false): void {
    if (this.#exit) return;
    this.#exit = { code, signal, isSandboxGone, leftovers };
    this.allow(Number.POSITIVE_INFINITY);
    this.#settle();
  }

  #ask<T extends LiveAnswer["type"]>(
    types: [T, ...T[]],
    deadlineMs: number,
    send: (id: string) => void,
  ): Promise<MessageOf<T>> {
    return this.#answers.ask(types[0], deadlineMs, send).then((answer) => {
      if ((types as string[]).includes(answer.type)) return answer as MessageOf<T>;
      const violation = new ChannelViolation(`${answer.type} is no answer to what was asked`);
      this.refuse(violation);
      throw violation;
    });
  }

  #take(kind: number, payload: Buffer): void {
    if (kind === FrameKind.output) {
      this.#takeOutput(readOutputFrame(payload));
      return;
    }
    if (kind !== FrameKind.json) throw new ChannelViolation("a live process sends no blob");
    const message = parseMessage(LiveMessage, payload);
    if (message.type === "unsupported") {
      throw new ChannelViolation(`the live process does not know the message ${message.message_type}`);
    }
    if (message.type === "output") {
      this.#takeOutput({ offset: message.offset, stream: message.stream, text: message.data });
    } else if ("execution_id" in message) {
      this.#listener.execution(message);
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
    if (text) this.#listener.output(text, piece.stream);
  }

  #disconnect(cause: Error | null): void {
    this.#isConnected = false;
    this.#violation = cause?.message ?? null;
    this.#answers.end("the interpreter ended");
    this.#listener.disconnected(this, cause !== null);
    this.#settle();
  }

  #settle(): void {
    if (this.#isConnected || !this.#exit || this.#end) return;
    for (const piece of this.#exit.leftovers) {
      const text = this.#cursor.rest(piece);
      if (text) this.#listener.output(text, piece.stream);
    }
    const { code, signal, isSandboxGone } = this.#exit;
    this.#end = { code, signal, isSandboxGone, violation: this.#violation };
    this.#listener.ended(this, this.#end);
  }
}
