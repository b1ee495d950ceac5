/** Owns the events of one session: keeps new ones in memory until they are written, and reads all of them in order. */
import type { ExecutionId, SessionName } from "../../protocol/identity.ts";
import { bytesOf, type JournalEntry, type JournalEvent } from "./journal-row.ts";
import { JournalTable } from "./journal-table.ts";

/** The answer of `read`. */
export interface JournalRead {
  entries: JournalEntry[];
  /** Everything up to here is in `entries` or does not match. */
  upTo: number;
}

/** Only unwritten events are in memory; the caller calls `flush` in time. */
export class Journal {
  readonly #table: JournalTable;
  #buffer: JournalEvent[] = [];
  #bufferBytes = 0;
  /** Bytes of all events since this object started, and of those events that are safe on disk. */
  #takenBytes = 0;
  #safeBytes = 0;
  #lastSeq: number;

  constructor(sql: SqlStorage, session: SessionName, maxBytes: number) {
    this.#table = new JournalTable(sql, session, maxBytes);
    this.#lastSeq = this.#table.lastSeq;
  }

  /** The seq of the newest event, written or not; 0 if there never was one. */
  get lastSeq(): number {
    return this.#lastSeq;
  }

  /** The seq of the newest event in SQLite. */
  get writtenSeq(): number {
    return this.#table.lastSeq;
  }

  get bufferedBytes(): number {
    return this.#bufferBytes;
  }

  /** Bytes of the events that were written since this object started. */
  get writtenBytes(): number {
    return this.#takenBytes - this.#bufferBytes;
  }

  /** Bytes of events that are not safe on disk yet, so that the runner still keeps them. */
  get unsafeBytes(): number {
    return this.#takenBytes - this.#safeBytes;
  }

  /** Everything up to `writtenBytes` is safe on disk. @returns false if that was known. */
  noteSafe(writtenBytes: number): boolean {
    if (writtenBytes <= this.#safeBytes) return false;
    this.#safeBytes = writtenBytes;
    return true;
  }

  /** From this seq on every event is still kept; `lastSeq + 1` if none is, 0 if there never was one. */
  get firstSeq(): number {
    return this.#table.firstSeq ?? this.#buffer[0]?.seq ?? 0;
  }

  /** Takes an event; the caller has made sure that its seq is greater than `lastSeq`. */
  append(event: JournalEvent): void {
    this.#buffer.push(event);
    this.#bufferBytes += bytesOf(event);
    this.#takenBytes += bytesOf(event);
    this.#lastSeq = event.seq;
  }

  /** Writes the events in memory. @returns the executions of which nothing is left, because they made room. */
  flush(): ExecutionId[] {
    if (this.#buffer.length === 0) return [];
    const events = this.#buffer;
    this.#buffer = [];
    this.#bufferBytes = 0;
    return this.#table.append(events);
  }

  /**
   * Reads on from `after`, about `maxChars` characters at a time. An answer without entries means that there is nothing more.
   *
   * @param executionId only this execution's events (and gaps); other events are passed over.
   * @param until no further than this seq.
   */
  read(after: number, maxChars: number, executionId?: ExecutionId, until = Number.MAX_SAFE_INTEGER): JournalRead {
    const entries: JournalEntry[] = [];
    let upTo = after;
    let chars = 0;
    const take = (found: JournalEntry[]) => {
      for (const entry of found) {
        upTo = entry.kind === "gap" ? entry.to : entry.seq;
        if (executionId !== undefined && entry.kind === "event" && entry.executionId !== executionId) continue;
        entries.push(entry);
        chars += entry.kind === "gap" ? 0 : entry.frame.length;
      }
    };
    if (after < this.#table.lastSeq) {
      for (const row of this.#table.rowsAfter(after)) {
        if (row.firstSeq > until) return { entries, upTo: until };
        take(row.unpack());
        if (chars >= maxChars) return { entries, upTo };
      }
    }
    const start = this.#buffer.findIndex((event) => event.seq > upTo);
    for (let at = start; at >= 0 && at < this.#buffer.length && chars < maxChars && upTo < until; at += 1) {
      take(this.#buffer.slice(at, at + 1));
    }
    if (chars < maxChars) upTo = Math.max(upTo, this.#lastSeq);
    return { entries, upTo };
  }

  /** Bytes of the events with `after` < seq ≤ `upTo`, without reading them: a row that lies partly outside counts whole. */
  sizeBetween(after: number, upTo: number): number {
    let size = after < this.#table.lastSeq ? this.#table.sizeBetween(after, upTo) : 0;
    for (const event of this.#buffer) if (event.seq > after && event.seq <= upTo) size += bytesOf(event);
    return size;
  }

  /** True if no event is kept. */
  get isEmpty(): boolean {
    return this.#lastSeq === 0 || this.firstSeq > this.#lastSeq;
  }

  /** Forgets every event. The numbering goes on: a gap stays in their place, which tells clients that there were some. */
  purge(): void {
    this.delete();
    if (this.#lastSeq === 0) return;
    this.#table.writeGap(1, this.#lastSeq);
  }

  /** Deletes everything; a later journal of this session starts at the beginning. */
  delete(): void {
    this.#table.delete(this.#lastSeq);
    this.#buffer = [];
    this.#bufferBytes = 0;
    this.#safeBytes = this.#takenBytes;
  }
}
