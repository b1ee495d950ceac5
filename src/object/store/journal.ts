/** Owns the events of one session in SQLite: buffers them, writes them in packed rows, reads them back in order, forgets the oldest output. */

import type { ExecutionId, SessionName } from "../../protocol/identity.ts";
import {
  bytesOf,
  cutText,
  gapOfRow,
  type JournalEntry,
  type JournalEvent,
  joinGaps,
  PART_MAX_CHARS,
  packRow,
  pruneEntries,
  ROW_MAX_CHARS,
  unpackRow,
} from "./journal-row.ts";

/** The next write extends a last row shorter than this, so that small executions share rows. */
const MERGE_BELOW_CHARS = 2 * 1024;

type Row = { first_seq: number; last_seq: number; part: number; size: number; heads: string; frames: string };

/** What `read` found. */
export interface JournalRead {
  entries: JournalEntry[];
  /** Everything up to here is in `entries` or does not match. */
  upTo: number;
}

/** Only unwritten events are in memory; the caller calls `flush` in time. */
export class Journal {
  readonly #sql: SqlStorage;
  readonly #session: SessionName;
  readonly #maxBytes: number;
  #buffer: JournalEvent[] = [];
  #bufferBytes = 0;
  /** Bytes of all events since this object started, and of those events that are safe on disk. */
  #takenBytes = 0;
  #safeBytes = 0;
  #writtenSeq: number;
  #lastSeq: number;
  #storedBytes: number;
  /** The last row, while the next write may extend it. */
  #tail: { firstSeq: number; lastSeq: number; chars: number } | null = null;

  constructor(sql: SqlStorage, session: SessionName, maxBytes: number) {
    this.#sql = sql;
    this.#session = session;
    this.#maxBytes = maxBytes;
    const totals = sql
      .exec<{ last: number | null; size: number | null }>(
        "SELECT MAX(last_seq) AS last, SUM(size) AS size FROM journal WHERE session = ?",
        session,
      )
      .one();
    this.#writtenSeq = totals.last ?? 0;
    this.#lastSeq = this.#writtenSeq;
    this.#storedBytes = totals.size ?? 0;
  }

  /** The seq of the newest event, written or not; 0 if there never was one. */
  get lastSeq(): number {
    return this.#lastSeq;
  }

  /** The seq of the newest event in SQLite. */
  get writtenSeq(): number {
    return this.#writtenSeq;
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
    const pruned = this.#sql.exec<Row>(
      "SELECT first_seq, heads FROM journal WHERE session = ? AND is_pruned = 1 ORDER BY first_seq DESC",
      this.#session,
    );
    for (const row of pruned) {
      const lastGap = unpackRow(row.first_seq, row.heads, "").findLast((entry) => entry.kind === "gap");
      if (lastGap?.kind === "gap") return lastGap.to + 1;
    }
    const oldest = this.#sql
      .exec<{ first: number | null }>("SELECT MIN(first_seq) AS first FROM journal WHERE session = ?", this.#session)
      .one();
    return oldest.first ?? this.#buffer[0]?.seq ?? 0;
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
    const entries: JournalEntry[] = [...this.#takeTail(), ...this.#buffer];
    this.#writtenSeq = this.#lastSeq;
    this.#buffer = [];
    this.#bufferBytes = 0;
    this.#writeRows(entries);
    return this.#prune();
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
    if (after < this.#writtenSeq) {
      for (const row of this.#rowsAfter(after)) {
        if (row.first_seq > until) return { entries, upTo: until };
        take(unpackRow(row.first_seq, row.heads, row.frames, after));
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
    let size = 0;
    if (after < this.#writtenSeq) {
      const rows = this.#sql.exec<{ first_seq: number; size: number }>(
        "SELECT first_seq, size FROM journal WHERE session = ? AND last_seq > ? ORDER BY last_seq, part",
        this.#session,
        after,
      );
      for (const row of rows) {
        if (row.first_seq > upTo) break;
        size += row.size;
      }
    }
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
    this.#insert([{ kind: "gap", from: 1, to: this.#lastSeq, size: 0 }], true);
  }

  /** Deletes everything; a later journal of this session starts at the beginning. */
  delete(): void {
    this.#sql.exec("DELETE FROM journal WHERE session = ?", this.#session);
    this.#buffer = [];
    this.#bufferBytes = 0;
    this.#safeBytes = this.#takenBytes;
    this.#storedBytes = 0;
    this.#tail = null;
    this.#writtenSeq = this.#lastSeq;
  }

  /** Rows with events after `after`, the parts of a large one put together. */
  *#rowsAfter(after: number): Generator<Row> {
    let whole: Row | null = null;
    const rows = this.#sql.exec<Row>(
      "SELECT first_seq, last_seq, part, size, heads, frames FROM journal WHERE session = ? AND last_seq > ? ORDER BY last_seq, part",
      this.#session,
      after,
    );
    for (const row of rows) {
      if (row.part > 0 && whole !== null) {
        whole.frames += row.frames;
      } else {
        if (whole !== null) yield whole;
        whole = row;
      }
    }
    if (whole !== null) yield whole;
  }

  #takeTail(): JournalEntry[] {
    const tail = this.#tail;
    this.#tail = null;
    if (tail === null || tail.lastSeq + 1 !== this.#buffer[0]?.seq) return [];
    const row = this.#sql
      .exec<Row>(
        "DELETE FROM journal WHERE session = ? AND last_seq = ? AND is_pruned = 0 RETURNING first_seq, size, heads, frames",
        this.#session,
        tail.lastSeq,
      )
      .toArray()[0];
    if (row === undefined) return [];
    this.#storedBytes -= row.size;
    return unpackRow(row.first_seq, row.heads, row.frames);
  }

  #writeRows(entries: readonly JournalEntry[]): void {
    let run: JournalEntry[] = [];
    let chars = 0;
    let next = -1;
    const end = () => {
      if (run.length > 0) this.#insert(run, false);
      [run, chars] = [[], 0];
    };
    for (const entry of entries) {
      const [first, size] = entry.kind === "gap" ? [entry.from, 0] : [entry.seq, entry.frame.length];
      if (first !== next || chars + size > ROW_MAX_CHARS) end();
      run.push(entry);
      chars += size;
      next = (entry.kind === "gap" ? entry.to : entry.seq) + 1;
    }
    const isShort = chars < MERGE_BELOW_CHARS && run.length > 0;
    const head = run[0];
    end();
    if (isShort && head?.kind === "event") this.#tail = { firstSeq: head.seq, lastSeq: next - 1, chars };
  }

  #insert(entries: readonly JournalEntry[], isPruned: boolean): void {
    const row = packRow(entries);
    const bytes = entries.reduce((sum, entry) => sum + (entry.kind === "gap" ? 0 : bytesOf(entry)), row.heads.length);
    const parts = row.frames.length > PART_MAX_CHARS ? cutText(row.frames) : [row.frames];
    parts.forEach((frames, part) => {
      // The first part counts for all: they are deleted together.
      const size = part === 0 ? bytes : 0;
      this.#storedBytes += size;
      this.#sql.exec(
        "INSERT INTO journal (session, first_seq, part, last_seq, is_pruned, size, heads, frames) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        this.#session,
        row.firstSeq,
        part,
        row.lastSeq,
        isPruned ? 1 : 0,
        size,
        part === 0 ? row.heads : "",
        frames,
      );
    });
  }

  /** Deletes the oldest output first, row by row; when only terminal events are left, the oldest of them. */
  #prune(): ExecutionId[] {
    const forgotten: ExecutionId[] = [];
    while (this.#storedBytes > this.#maxBytes) {
      const oldest = this.#take("is_pruned = 0 ORDER BY first_seq LIMIT 1");
      const keepTerminals = oldest.length > 0;
      const entries = keepTerminals ? oldest : this.#take("is_pruned = 1 AND frames <> '' ORDER BY first_seq LIMIT 1");
      const pruned = pruneEntries(entries, keepTerminals);
      const first = pruned[0];
      if (first === undefined) break;
      if (!keepTerminals) {
        for (const entry of entries) if (entry.kind === "event") forgotten.push(entry.executionId);
      }
      // Merged with the pruned row before, so that gaps share a row instead of piling up as rows.
      const from = first.kind === "gap" ? first.from : first.seq;
      const before = this.#take(`is_pruned = 1 AND last_seq = ${from - 1} AND size < ${ROW_MAX_CHARS / 2}`);
      this.#insert(joinGaps([...before, ...pruned]), true);
    }
    return forgotten;
  }

  /** Removes a row with all its parts. @returns its entries, or one gap if pruning would leave only that: then its text is not read. */
  #take(where: string): JournalEntry[] {
    const head = this.#sql
      .exec<Row>(
        `SELECT first_seq, last_seq, heads FROM journal WHERE session = ? AND part = 0 AND ${where}`,
        this.#session,
      )
      .toArray()[0];
    if (head === undefined) return [];
    const gap = gapOfRow(head.first_seq, head.heads);
    const rows = this.#sql
      .exec<Row>(
        `DELETE FROM journal WHERE session = ? AND last_seq = ? RETURNING part, size, ${gap === null ? "frames" : "'' AS frames"}`,
        this.#session,
        head.last_seq,
      )
      .toArray()
      .sort((one, other) => one.part - other.part);
    for (const row of rows) this.#storedBytes -= row.size;
    return gap === null ? unpackRow(head.first_seq, head.heads, rows.map((row) => row.frames).join("")) : [gap];
  }
}
