/** Owns one execution's request, its place in life, and the events it has had; running it is left to `run.ts`. */
import { hash } from "node:crypto";
import type { ExecuteMessage } from "../../../src/protocol/client-message.ts";
import { type EventType, isTerminal } from "../../../src/protocol/event.ts";
import type { ExecutionId } from "../../../src/protocol/identity.ts";
import { DEFAULT_LIMITS } from "../../../src/protocol/limits.ts";
import { type FrameContext, frameContext } from "../events/event-frame.ts";
import type { EventStream } from "../events/event-iterator.ts";
import { NumberedEvent } from "../events/numbered-event.ts";

const LONGEST_CODE_KEPT = 256;

export class Execution {
  readonly id: ExecutionId;
  readonly policy: ExecuteMessage["transaction_policy"];
  readonly timeoutSeconds: number;
  readonly context: FrameContext;
  readonly fingerprint: string;
  /** Emptied once the code has been sent. */
  code: string;
  state: "queued" | "running" | "ended" = "queued";
  /** Unix seconds; null while it waits. */
  startedAt: number | null = null;
  /** Characters of output so far. */
  outputCharacters = 0;
  readonly #maxBytes: number;
  #events: NumberedEvent[] = [];
  #bytes = 0;
  #streams: EventStream[] = [];

  /** @param maxBytes of events are kept for whoever asks again; past it only the terminal one is. */
  constructor(id: ExecutionId, request: ExecuteMessage, maxBytes: number) {
    this.id = id;
    this.code = request.code;
    this.policy = request.transaction_policy;
    this.timeoutSeconds = request.timeout ?? DEFAULT_LIMITS.timeoutSeconds;
    this.context = frameContext(id);
    this.fingerprint = fingerprint(request.code);
    this.#maxBytes = maxBytes;
  }

  get hasSpoken(): boolean {
    return this.#bytes > 0;
  }

  /** Bytes of the events so far. */
  get keptBytes(): number {
    return this.#bytes;
  }

  record(seq: number, type: EventType, text: string | Buffer): NumberedEvent {
    const startedAt = this.#bytes === 0 ? (this.startedAt ?? undefined) : undefined;
    const event = new NumberedEvent(seq, type, this.id, text, startedAt);
    this.#bytes += event.bytes;
    if (isTerminal(type)) this.state = "ended";
    if (this.#bytes <= this.#maxBytes) this.#events.push(event);
    else this.#events = this.state === "ended" ? [event] : [];
    for (const stream of this.#streams) stream.push(event);
    if (this.state === "ended") this.#streams = [];
    return event;
  }

  /** The stream gets what is kept, then what comes. */
  follow(stream: EventStream): void {
    for (const event of this.#events) stream.push(event);
    if (this.state !== "ended") this.#streams.push(stream);
  }

  /** Keeps the terminal event alone. */
  forgetEvents(): void {
    this.#events = this.#events.slice(-1);
    this.#bytes = 0;
  }
}

/** Tells one code from another without keeping long ones. */
export function fingerprint(code: string): string {
  return code.length <= LONGEST_CODE_KEPT ? code : hash("sha256", code);
}
