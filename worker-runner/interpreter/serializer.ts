/** Owns the runner's end of one serializer: the blob's pieces in order, then its closing message. */
import type { Connection } from "../channel/connection.ts";
import type { Peer } from "../channel/door.ts";
import { ChannelViolation, FrameKind } from "../channel/framing.ts";
import { SerializerMessage } from "../channel/message.ts";
import { parseMessage } from "../channel/parse-message.ts";
import { Unanswered } from "./pending-answers.ts";

/** Takes one piece of a blob. The next piece is read after it resolves. */
export type BlobSink = (piece: Buffer) => Promise<void>;

/** Room for a thousand names that could not be saved, with their reasons. */
const MAX_MESSAGE_BYTES = 8 * 1024 * 1024;

export class Serializer {
  readonly pid: number;
  /** Resolves when all pieces were taken. Rejects if the serializer falls silent, ends early or sends too much. */
  readonly done: Promise<SerializerMessage>;
  readonly #connection: Connection;
  readonly #sink: BlobSink;
  readonly #maxBytes: number;
  readonly #silenceMs: number;
  #bytes = 0;
  #waiting = 0;
  #isBlobWhole = false;
  #hasSaidAll = false;
  #tail: Promise<void> = Promise.resolve();
  #silence: NodeJS.Timeout;
  #resolve: (message: SerializerMessage) => void = () => undefined;
  #reject: (error: Error) => void = () => undefined;

  constructor(peer: Peer, sink: BlobSink, maxBytes: number, silenceMs: number) {
    this.pid = peer.hello.pid;
    this.#connection = peer.connection;
    this.#sink = sink;
    this.#maxBytes = maxBytes;
    this.#silenceMs = silenceMs;
    this.done = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    this.#silence = this.#expectMore();
    peer.connection.adopt(
      (kind, payload) => this.#take(kind, payload),
      (cause) => {
        // The process exits after its closing message, possibly before the last piece is taken.
        if (!this.#hasSaidAll) this.#fail(cause ?? new Unanswered("the serializer ended early"));
      },
      MAX_MESSAGE_BYTES,
    );
  }

  #expectMore(): NodeJS.Timeout {
    clearTimeout(this.#silence);
    return setTimeout(
      () => this.#fail(new Unanswered(`the serializer sent nothing for ${this.#silenceMs} ms`)),
      this.#silenceMs,
    );
  }

  #fail(error: Error): void {
    clearTimeout(this.#silence);
    this.#connection.destroy();
    this.#reject(error);
  }

  #take(kind: number, payload: Buffer): void {
    this.#silence = this.#expectMore();
    if (kind === FrameKind.blob) {
      this.#takePiece(payload);
      return;
    }
    if (kind !== FrameKind.json) throw new ChannelViolation("a serializer sent output");
    const message = parseMessage(SerializerMessage, payload);
    if (message.type === "serialized" && (!this.#isBlobWhole || message.size !== this.#bytes)) {
      throw new ChannelViolation("the blob is not as long as announced");
    }
    clearTimeout(this.#silence);
    this.#hasSaidAll = true;
    this.#tail.then(
      () => {
        this.#resolve(message);
        this.#connection.destroy();
      },
      (error: Error) => this.#fail(error),
    );
  }

  #takePiece(piece: Buffer): void {
    if (this.#isBlobWhole) throw new ChannelViolation("a piece after the blob's end");
    if (piece.length === 0) {
      this.#isBlobWhole = true;
      return;
    }
    this.#bytes += piece.length;
    if (this.#bytes > this.#maxBytes) throw new ChannelViolation("the blob is longer than allowed");
    this.#waiting += 1;
    this.#connection.pause();
    this.#tail = this.#tail.then(async () => {
      await this.#sink(piece);
      this.#waiting -= 1;
      if (this.#waiting === 0) this.#connection.resume();
    });
    this.#tail.catch((error: Error) => this.#fail(error));
  }
}
