/** Owns the events of one execution: builds them in order, keeps them for readers that join later, and publishes them. */
import { type EventType, isTerminal } from "../../../src/protocol/event.ts";
import type { ExecutionId } from "../../../src/protocol/identity.ts";
import type { StreamName } from "../../interpreter/output-cursor.ts";
import { type FrameContext, frameContext, middleOf, outputFrame, outputFrameBytes } from "./event-frame.ts";
import type { EventIterator } from "./event-iterator.ts";
import { NumberedEvent } from "./numbered-event.ts";
import type { SessionEvents } from "./session-events.ts";

/** Output is not cut into shorter pieces, however small the frame limit is: a frame costs more than a short text. */
const SHORTEST_PIECE_CHARACTERS = 256;

export class EventSink {
  /** What the frames of this execution have in common. */
  readonly context: FrameContext;
  readonly #session: SessionEvents;
  readonly #maxKeptBytes: number;
  #startedAt: number | null = null;
  #events: NumberedEvent[] = [];
  #bytes = 0;
  #readers: EventIterator[] = [];
  #hasEnded = false;

  /** @param maxKeptBytes limits the events that are kept; past it only the terminal event is kept. */
  constructor(session: SessionEvents, executionId: ExecutionId, maxKeptBytes: number) {
    this.context = frameContext(executionId);
    this.#session = session;
    this.#maxKeptBytes = maxKeptBytes;
  }

  /** Unix seconds at which the execution began; null while it waits. */
  get startedAt(): number | null {
    return this.#startedAt;
  }

  /** True once the terminal event was published. */
  get hasEnded(): boolean {
    return this.#hasEnded;
  }

  /** Bytes of all events so far. */
  get bytes(): number {
    return this.#bytes;
  }

  /** The number of the next event, which its frame must contain. */
  get nextSeq(): number {
    return this.#session.lastSeq + 1;
  }

  /** The execution begins now. */
  begin(): void {
    this.#startedAt = Date.now() / 1000;
  }

  /** Publishes an event. @param text its frame, built with `nextSeq`. */
  emit(type: EventType, text: string | Buffer): void {
    const startedAt = this.#bytes === 0 ? (this.#startedAt ?? undefined) : undefined;
    const event = new NumberedEvent(this.nextSeq, type, this.context.executionId, text, startedAt);
    this.#bytes += event.bytes;
    this.#hasEnded = isTerminal(type);
    if (this.#bytes <= this.#maxKeptBytes) this.#events.push(event);
    else this.#events = this.#hasEnded ? [event] : [];
    for (const reader of this.#readers) reader.push(event);
    if (this.#hasEnded) this.#readers = [];
    this.#session.publish(event);
  }

  /** Publishes output, in several events if the frame of one would be longer than the limit. */
  emitOutput(text: string, stream: StreamName): void {
    const limit = this.#session.frameLimitBytes;
    if (limit > 0 && text.length > SHORTEST_PIECE_CHARACTERS && outputFrameBytes(this.context, text) > limit) {
      const middle = middleOf(text);
      this.emitOutput(text.slice(0, middle), stream);
      this.emitOutput(text.slice(middle), stream);
      return;
    }
    this.emit("output", outputFrame(this.nextSeq, this.context, text, stream));
  }

  /** Gives the reader the events that are kept, then every later one. */
  follow(reader: EventIterator): void {
    for (const event of this.#events) reader.push(event);
    if (!this.#hasEnded) this.#readers.push(reader);
  }

  /** Keeps the terminal event only. */
  forgetEvents(): void {
    this.#events = this.#events.slice(-1);
    this.#bytes = 0;
  }
}
