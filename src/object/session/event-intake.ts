/** Owns the way of every event: into the journal's memory, out to the clients, onto disk a little later, and then off the runner's ring. */

import { isTerminal } from "../../protocol/event.ts";
import type { ExecutionId } from "../../protocol/identity.ts";
import type { Delivery } from "../clients/delivery.ts";
import type { Journal } from "../store/journal.ts";
import type { JournalEvent } from "../store/journal-row.ts";
import { RESERVE_LEFT, RESERVE_STRIDE, type SessionRecord } from "../store/session-table.ts";
import type { ClientStores } from "./client-stores.ts";
import type { Incarnations } from "./incarnations.ts";

/** A quarter of what the runner's ring holds: fewer writes take less time for the same output. */
const WRITE_AT_CHARS = 1024 * 1024;
/** Of a small journal's size: what is not written yet must not push out what somebody is about to read. */
const WRITE_AT_SHARE = 1 / 4;
const WRITE_AFTER_MS = 250;
/** After a terminal message somebody may go away content; several short executions still share one write. */
const WRITE_SOON_MS = 20;

export interface EventIntakeHost {
  readonly parts: ClientStores;
  readonly record: SessionRecord;
  readonly journal: Journal;
  readonly delivery: Delivery;
  readonly incarnations: Incarnations;
  save(): void;
  /** Called once an execution's terminal message is out. */
  executionEnded(id: ExecutionId): void;
  written(): void;
}

export class EventIntake {
  readonly #host: EventIntakeHost;
  #timer: ReturnType<typeof setTimeout> | null = null;
  #isSoon = false;
  #toldSeq = 0;
  readonly #writeAtChars: number;

  constructor(host: EventIntakeHost) {
    this.#host = host;
    this.#writeAtChars = Math.min(WRITE_AT_CHARS, host.parts.settings.JOURNAL_MAX_BYTES * WRITE_AT_SHARE);
  }

  /**
   * Takes an event whose seq is greater than every one before. Nothing is written before it is out.
   *
   * @param startedAt when its execution began, where that is news.
   */
  take(event: JournalEvent, startedAt?: number): void {
    const { record, journal, delivery, parts } = this.#host;
    if (event.seq > record.reservedSeq) {
      // The one exception: nobody may see a number that a later incarnation could use again.
      record.reservedSeq = event.seq + RESERVE_STRIDE;
      this.#host.save();
    }
    journal.append(event);
    delivery.broadcast(event);
    parts.executions.noteEvent(record.name, event, startedAt);
    const hasEnded = isTerminal(event.type);
    if (hasEnded) this.#host.executionEnded(event.executionId);
    if (journal.bufferedChars >= this.#writeAtChars) this.flush();
    else this.#writeLater(hasEnded || event.type === "input");
  }

  /** An execution has begun; it may be long before it says something. */
  noteStarted(id: ExecutionId, startedAt: number): void {
    if (this.#host.parts.executions.noteStarted(id, startedAt)) this.#writeLater(false);
  }

  /** Writes what is in memory, and tells the runner once it is safe. */
  flush(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    const { record, journal, parts } = this.#host;
    parts.executions.forget(journal.flush());
    parts.executions.flush();
    if (record.incarnation !== null && record.reservedSeq - journal.lastSeq < RESERVE_LEFT) {
      record.reservedSeq = journal.lastSeq + RESERVE_STRIDE;
      this.#host.save();
    }
    this.#host.written();
    if (journal.writtenSeq > this.#toldSeq) parts.inBackground(this.tellDurable());
  }

  /** Waits until everything written is safe, then lets the runner forget it. */
  async tellDurable(): Promise<void> {
    const { journal, parts, incarnations } = this.#host;
    const seq = journal.writtenSeq;
    this.#toldSeq = seq;
    await parts.ctx.storage.sync();
    if (seq > 0) incarnations.ready?.tell({ type: "durable", seq });
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
