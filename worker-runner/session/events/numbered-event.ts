/** Owns one event as it is kept and sent. A long text is kept as bytes, outside the garbage-collected heap. */
import type { EventType } from "../../../src/protocol/event.ts";
import type { ExecutionId } from "../../../src/protocol/identity.ts";
import { encodeEventHeader } from "../../../src/protocol/link.ts";

/** One event with its number, as the exact text that clients get. */
export class NumberedEvent {
  readonly seq: number;
  readonly type: EventType;
  readonly executionId: ExecutionId;
  /** Length of the text in UTF-8. */
  readonly bytes: number;
  /** Unix seconds at which the execution began; only on its first event. */
  readonly startedAt: number | undefined;
  readonly #text: string | Buffer;

  /** @param text client-ready JSON, as a string or in UTF-8. */
  constructor(seq: number, type: EventType, executionId: ExecutionId, text: string | Buffer, startedAt?: number) {
    this.seq = seq;
    this.type = type;
    this.executionId = executionId;
    this.#text = text;
    this.bytes = Buffer.byteLength(text);
    this.startedAt = startedAt;
  }

  /** The text. */
  get frame(): string {
    return this.#text.toString();
  }

  /** The event as one message of the link. */
  encode(): string | Buffer {
    const header = encodeEventHeader(this);
    return typeof this.#text === "string" ? header + this.#text : Buffer.concat([Buffer.from(header), this.#text]);
  }
}
