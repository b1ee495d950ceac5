/** Owns the path of every event: into the journal's memory, out to the clients, to disk a little later, then out of the runner's ring. */

import { byteLength } from "../../byte-length.ts";
import { type EventType, isTerminal } from "../../protocol/event.ts";
import type { ExecutionId } from "../../protocol/identity.ts";
import { type Delivery, FREE_CREDIT_BYTES } from "../clients/delivery.ts";
import type { Journal } from "../store/journal.ts";
import type { JournalEvent } from "../store/journal-row.ts";
import { RESERVE_LEFT, RESERVE_STRIDE } from "../store/session-table.ts";
import type { Incarnations } from "./incarnations.ts";
import type { SessionContext } from "./session-context.ts";

/** A quarter of the runner's ring: fewer writes take less time for the same output. */
const WRITE_AT_BYTES = 1024 * 1024;
/** Share of a small journal: unwritten events must not displace events that a client is about to read. */
const WRITE_AT_SHARE = 1 / 4;
const WRITE_AFTER_MS = 250;
/** After a terminal event the client may disconnect, so the write comes soon. Several short executions still share one write. */
const WRITE_SOON_MS = 20;

/** Events with which code waits for an answer of its client. */
const ASKING: ReadonlySet<EventType> = new Set(["input", "tool_call"]);

export interface IntakeHandlers {
  /** An event was sent out. */
  onEvent(event: JournalEvent): void;
  /** An execution's terminal event was sent out. */
  onExecutionEnded(id: ExecutionId): void;
  /** An execution waits for an answer of its client. */
  onWaiting(id: ExecutionId): void;
  /** The events in memory were written. */
  onWritten(): void;
}

export class EventIntake {
  readonly #context: SessionContext;
  readonly #incarnations: Incarnations;
  readonly #handlers: IntakeHandlers;
  #timer: ReturnType<typeof setTimeout> | null = null;
  #isSoon = false;
  #toldSeq = 0;
  readonly #writeAtBytes: number;

  constructor(context: SessionContext, incarnations: Incarnations, handlers: IntakeHandlers) {
    this.#context = context;
    this.#incarnations = incarnations;
    this.#handlers = handlers;
    this.#writeAtBytes = Math.min(WRITE_AT_BYTES, context.stores.settings.JOURNAL_MAX_BYTES * WRITE_AT_SHARE);
  }

  /**
   * Takes an event whose seq is greater than every seq before. The event goes out before it is written.
   *
   * @param startedAt when its execution started, if this event tells it first.
   */
  take(taken: JournalEvent, startedAt?: number): void {
    const { record, journal, delivery, pendingInputs, stores } = this.#context;
    const event = this.#withRestored(taken);
    if (event.seq > record.reservedSeq) {
      // Written first: no client may see a number that a later incarnation could use again.
      record.reservedSeq = event.seq + RESERVE_STRIDE;
      this.#context.save();
    }
    journal.append(event);
    delivery.broadcast(event);
    pendingInputs.noteEvent(event);
    this.#handlers.onEvent(event);
    stores.executions.noteEvent(record.name, event, startedAt);
    const hasEnded = isTerminal(event.type);
    if (hasEnded) this.#handlers.onExecutionEnded(event.executionId);
    else if (ASKING.has(event.type)) this.#handlers.onWaiting(event.executionId);
    if (journal.bufferedBytes >= this.#writeAtBytes || isAtFreeLimit(journal, delivery)) this.flush();
    else this.#writeLater(hasEnded || ASKING.has(event.type));
  }

  /** An execution has started; its first event may come much later. */
  noteStarted(id: ExecutionId, startedAt: number): void {
    if (this.#context.stores.executions.noteStarted(id, startedAt)) this.#writeLater(false);
  }

  /** Writes the events in memory, and tells the runner once they are safe. */
  flush(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    const { record, journal, stores } = this.#context;
    stores.executions.forget(journal.flush());
    stores.executions.flush();
    if (record.incarnation !== null && record.reservedSeq - journal.lastSeq < RESERVE_LEFT) {
      record.reservedSeq = journal.lastSeq + RESERVE_STRIDE;
      this.#context.save();
    }
    this.#handlers.onWritten();
    if (journal.writtenSeq > this.#toldSeq) stores.inBackground(this.tellDurable());
  }

  /** Waits until everything written is on disk, then lets the runner forget it. */
  async tellDurable(): Promise<void> {
    const { journal, stores, delivery } = this.#context;
    const seq = journal.writtenSeq;
    const { writtenBytes } = journal;
    this.#toldSeq = seq;
    await stores.ctx.storage.sync();
    const hasMoved = journal.noteSafe(writtenBytes);
    if (seq > 0) this.#incarnations.ready?.tell({ type: "durable", seq });
    if (hasMoved) delivery.onProgress();
  }

  /** The ending of the first execution after the session was brought back tells what was lost. */
  #withRestored(event: JournalEvent): JournalEvent {
    const { restored } = this.#context.record;
    if (!isTerminal(event.type) || restored?.executionId !== event.executionId) return event;
    // `data` is the last field of a frame. Parsing and writing it again would change numbers that JavaScript cannot hold.
    const frame = `${event.frame.slice(0, -2)},"restored":${JSON.stringify(restored.note)}}}`;
    return { ...event, frame, bytes: byteLength(frame) };
  }

  #writeLater(isSoon: boolean): void {
    if (this.#timer !== null) {
      if (!isSoon || this.#isSoon) return;
      clearTimeout(this.#timer);
    }
    this.#isSoon = isSoon;
    this.#timer = setTimeout(() => this.flush(), isSoon ? WRITE_SOON_MS : WRITE_AFTER_MS);
  }
}

/** Without a client that acknowledges, the runner waits for the disk; a small write soon lets it go on. */
function isAtFreeLimit(journal: Journal, delivery: Delivery): boolean {
  return journal.bufferedBytes >= FREE_CREDIT_BYTES / 2 && !delivery.hasReader;
}
