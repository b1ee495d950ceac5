/** Owns the events of one execution: builds them in order, keeps them for readers that join later, and publishes them. */
import { setImmediate as nextTurn } from "node:timers/promises";
import { type EventType, isTerminal } from "../../../src/protocol/event.ts";
import type { ExecutionId } from "../../../src/protocol/identity.ts";
import type { StreamName } from "../../interpreter/output-cursor.ts";
import {
  type FrameContext,
  frameContext,
  middleOf,
  outputFrame,
  outputFrameBytes,
  truncatedFrame,
} from "./event-frame.ts";
import type { EventIterator } from "./event-iterator.ts";
import { NumberedEvent } from "./numbered-event.ts";
import { OutputCollector } from "./output-collector.ts";
import { OutputRetention } from "./output-retention.ts";
import type { SessionEvents } from "./session-events.ts";

/** Output is not cut into shorter pieces, however small the frame limit is: a frame costs more than a short text. */
const SHORTEST_PIECE_CHARACTERS = 256;
const MIDDLE_DROPPED = "more output than is kept: its middle was left out";

/** Builds a frame with this number. */
type MakeFrame = (seq: number, context: FrameContext) => string | Buffer;

export class EventSink {
  /** The parts that all frames of this execution share. */
  readonly context: FrameContext;
  readonly #session: SessionEvents;
  readonly #maxKeptBytes: number;
  readonly #output = new OutputCollector((text, stream) =>
    this.#retention.addText(this.#session.keptOutput, text, stream),
  );
  readonly #retention = new OutputRetention({
    publishText: (text, stream) => this.#publishOutput(text, stream),
    publishDropped: (bytes) => this.#publishTruncated(bytes),
  });
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

  /** The execution begins now. */
  begin(): void {
    this.#startedAt = Date.now() / 1000;
  }

  /** Publishes an event behind all output that came before it. */
  emit(type: Exclude<EventType, "output" | "display" | "clear_output">, makeFrame: MakeFrame): void {
    this.releaseOutput();
    this.#publish(type, makeFrame(this.#session.lastSeq + 1, this.context));
  }

  /** Publishes a display or its removal, unless so much output came before it that it counts as the middle. */
  emitDisplay(type: "display" | "clear_output", makeFrame: MakeFrame): void {
    this.#output.flush();
    const kept = this.#session.keptOutput;
    const publish = () => this.#publish(type, makeFrame(this.#session.lastSeq + 1, this.context));
    const bytes = kept === null ? 0 : Buffer.byteLength(makeFrame(this.#session.lastSeq + 1, this.context));
    this.#retention.addDisplay(kept, bytes, publish);
  }

  /** Publishes the output that is held back because nobody might keep it. */
  releaseOutput(): void {
    this.#output.flush();
    this.#retention.release();
  }

  /** True if publishing the held output at once would make other sessions wait. */
  get holdsMuch(): boolean {
    return this.#retention.holdsMuch;
  }

  /** Publishes the held output, a part in each turn of the event loop. */
  async releaseInTurns(): Promise<void> {
    this.#output.flush();
    while (this.#retention.releaseSlice()) await nextTurn();
  }

  /** Publishes output. Pieces that follow each other closely travel in one event. */
  emitOutput(text: string, stream: StreamName): void {
    this.#output.add(text, stream);
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

  #publishTruncated(droppedBytes: number): void {
    const frame = truncatedFrame(this.#session.lastSeq + 1, this.context, droppedBytes, MIDDLE_DROPPED);
    this.#publish("output_truncated", frame);
  }

  /** Cuts the text in two while the frame of one event would be longer than the limit. */
  #publishOutput(text: string, stream: StreamName): void {
    const limit = this.#session.frameLimitBytes;
    if (limit > 0 && text.length > SHORTEST_PIECE_CHARACTERS && outputFrameBytes(this.context, text) > limit) {
      const middle = middleOf(text);
      this.#publishOutput(text.slice(0, middle), stream);
      this.#publishOutput(text.slice(middle), stream);
      return;
    }
    this.#publish("output", outputFrame(this.#session.lastSeq + 1, this.context, text, stream));
  }

  #publish(type: EventType, text: string | Buffer): void {
    const startedAt = this.#bytes === 0 ? (this.#startedAt ?? undefined) : undefined;
    const event = new NumberedEvent(this.#session.lastSeq + 1, type, this.context.executionId, text, startedAt);
    this.#bytes += event.bytes;
    this.#hasEnded = isTerminal(type);
    if (this.#bytes <= this.#maxKeptBytes) this.#events.push(event);
    else this.#events = this.#hasEnded ? [event] : [];
    for (const reader of this.#readers) reader.push(event);
    if (this.#hasEnded) this.#readers = [];
    this.#session.publish(event);
  }
}
