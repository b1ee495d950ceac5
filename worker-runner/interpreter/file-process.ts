/** Owns the runner's end of one process that works on the files of a workspace: requests, answers, and content in both directions. */
import type { Connection } from "../channel/connection.ts";
import type { Peer } from "../channel/door.ts";
import { FilesMessage, type FilesMessageOf, type FilesRequest } from "../channel/file-message.ts";
import { ChannelViolation, FrameKind, MAX_PIECE_BYTES } from "../channel/framing.ts";
import { parseMessage } from "../channel/parse-message.ts";
import { withDeadline } from "../deadline.ts";
import { Unanswered } from "./pending-answers.ts";

/** Room for ten thousand entries. Python sends at most 4 MiB of paths, and JSON makes each character up to twelve times as long. */
const MAX_MESSAGE_BYTES = 32 * 1024 * 1024;
/** User code can stop the process, which then does not notice that its connection has ended. */
const KILL_AFTER_MS = 2_000;

type Refusal = FilesMessageOf<"file_refused">;

/** The process refused the request. */
export class FileRefused extends Error {
  override readonly name = "FileRefused";
  readonly code: Refusal["code"];

  constructor({ code, detail }: Refusal) {
    super(detail);
    this.code = code;
  }
}

export class FileProcess {
  readonly #connection: Connection;
  readonly #silenceMs: number;
  readonly #kill: () => void;
  /** What has arrived and was not taken yet. The connection pauses while there is something, so it is seldom more than one frame. */
  readonly #arrived: (FilesMessage | Buffer)[] = [];
  #end: Error | null = null;
  #wake: () => void = () => undefined;
  readonly #onClosed: (() => void)[] = [];
  #isClosed = false;

  /** @param kill ends the process if it does not end by itself. */
  constructor({ connection }: Peer, silenceMs: number, kill: () => void) {
    this.#connection = connection;
    this.#silenceMs = silenceMs;
    this.#kill = kill;
    connection.adopt(
      (kind, payload) => this.#take(kind, payload),
      (cause) => {
        this.#end ??= cause ?? new Unanswered("the process that works on files ended early");
        this.#wake();
      },
      MAX_MESSAGE_BYTES,
    );
  }

  /** Calls `listener` once the process is not used any more. */
  onClosed(listener: () => void): void {
    this.#onClosed.push(listener);
  }

  /** True if the process has said something that nobody has read yet, or has ended: sending more content is useless. */
  get hasSpoken(): boolean {
    return this.#arrived.length > 0 || this.#end !== null;
  }

  send(request: FilesRequest): void {
    this.#connection.send(request);
  }

  /** Sends a request and waits for its answer. @throws FileRefused, Unanswered, ChannelViolation. */
  ask<T extends FilesMessage["type"]>(request: FilesRequest, expected: T): Promise<FilesMessageOf<T>> {
    this.send(request);
    return this.expect(expected);
  }

  /** Waits for a message of that type. @throws FileRefused, Unanswered, ChannelViolation. */
  async expect<T extends FilesMessage["type"]>(expected: T): Promise<FilesMessageOf<T>> {
    const message = await this.#next();
    if (!Buffer.isBuffer(message)) {
      if (message.type === expected) return message as FilesMessageOf<T>;
      if (message.type === "file_refused") throw new FileRefused(message);
    }
    throw this.#refuse(`a process that works on files did not answer with ${expected}`);
  }

  /** The next piece of a file's content, or null after the last one. @throws FileRefused, Unanswered, ChannelViolation. */
  async nextPiece(): Promise<Buffer | null> {
    const piece = await this.#next();
    if (Buffer.isBuffer(piece)) return piece.length > 0 ? piece : null;
    if (piece.type === "file_refused") throw new FileRefused(piece);
    throw this.#refuse(`${piece.type} in the middle of a file`);
  }

  /** Sends content. Resolves once the process can take more. @throws DeadlinePassed if it takes nothing for too long. */
  async sendContent(content: Uint8Array): Promise<void> {
    for (let at = 0; at < content.length && !this.hasSpoken; at += MAX_PIECE_BYTES) {
      await this.#sendPiece(content.subarray(at, at + MAX_PIECE_BYTES));
    }
  }

  /** Ends the content that was sent. */
  endContent(): Promise<void> {
    return this.#sendPiece(new Uint8Array(0));
  }

  /** Ends the process. Content that was not put in its place is gone. Safe to call twice. */
  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#connection.destroy();
    setTimeout(this.#kill, KILL_AFTER_MS).unref();
    for (const listener of this.#onClosed) listener();
  }

  #sendPiece(piece: Uint8Array): Promise<void> {
    return withDeadline(this.#connection.sendPiece(piece), "taking a file's content", this.#silenceMs);
  }

  async #next(): Promise<FilesMessage | Buffer> {
    if (this.#arrived.length === 0 && this.#end === null) {
      const arrival = new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
      await withDeadline(arrival, "an answer about files", this.#silenceMs);
    }
    const next = this.#arrived.shift();
    if (this.#arrived.length === 0) this.#connection.resume();
    if (next !== undefined) return next;
    throw this.#end ?? new Unanswered("the process that works on files did not answer");
  }

  #take(kind: number, payload: Buffer): void {
    if (kind === FrameKind.output) throw new ChannelViolation("a process that works on files sent output");
    const arrived = kind === FrameKind.blob ? payload : parseMessage(FilesMessage, payload);
    this.#arrived.push(arrived);
    this.#connection.pause();
    this.#wake();
  }

  #refuse(reason: string): ChannelViolation {
    const violation = new ChannelViolation(reason);
    this.#connection.destroy(violation);
    return violation;
  }
}
