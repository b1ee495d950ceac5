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

/** A last row shorter than this is taken up again by the next write, so that small executions share rows. */
const MERGE_BELOW_CHARS = 2 * 1024;

type Row = { first_seq: number; last_seq: number; part: number; size: number; heads: string; frames: string };

/** What `read` found. */
export interface JournalRead {
  entries: JournalEntry[];
  /** Everything up to here is in `entries` or does not match. */
  upTo: number;
}

/** In memory are only the events that are not written yet; `flush` is for the caller to call in time. */
export class Journal {
  readonly #sql: SqlStorage;
  readonly #session: SessionName;
  readonly #maxChars: number;
  #buffer: JournalEvent[] = [];
  #bufferChars = 0;
  /** Characters of all events since this object woke, and of those of them that are safe on disk. */
  #takenChars = 0;
  #safeChars = 0;
  #writtenSeq: number;
  #lastSeq: number;
  #storedChars: number;
  /** The last row, while it may be taken up again. */
  #tail: { firstSeq: number; lastSeq: number; chars: number } | null = null;

  constructor(sql: SqlStorage, session: SessionName, maxChars: number) {
    this.#sql = sql;
    this.#session = session;
    this.#maxChars = maxChars;
    const totals = sql
      .exec<{ last: number | null; size: number | null }>(
        "SELECT MAX(last_seq) AS last, SUM(size) AS size FROM journal WHERE session = ?",
        session,
      )
      .one();
    this.#writtenSeq = totals.last ?? 0;
    this.#lastSeq = this.#writtenSeq;
    this.#storedChars = totals.size ?? 0;
  }

  /** The newest event, written or not; 0 where there never was one. */
  get lastSeq(): number {
    return this.#lastSeq;
  }

  /** The newest event in SQLite. */
  get writtenSeq(): number {
    return this.#writtenSeq;
  }

  get bufferedChars(): number {
    return this.#bufferChars;
  }

  /** Characters of the events that were written since this object woke. */
  get writtenChars(): number {
    return this.#takenChars - this.#bufferChars;
  }

  /** Characters of events that are not safe on disk yet, so that the runner still keeps them. */
  get unsafeChars(): number {
    return this.#takenChars - this.#safeChars;
  }

  /** Everything up to `writtenChars` is safe on disk. @returns false if that was known. */
  noteSafe(writtenChars: number): boolean {
    if (writtenChars <= this.#safeChars) return false;
    this.#safeChars = writtenChars;
    return true;
  }

  /** From this seq on every event is still kept; `lastSeq + 1` where none is, 0 where there never was one. */
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
    this.#bufferChars += event.frame.length;
    this.#takenChars += event.frame.length;
    this.#lastSeq = event.seq;
  }

  /** Writes what is in memory. @returns the executions whose last trace was given up for room. */
  flush(): ExecutionId[] {
    if (this.#buffer.length === 0) return [];
    const entries: JournalEntry[] = [...this.#takeTail(), ...this.#buffer];
    this.#writtenSeq = this.#lastSeq;
    this.#buffer = [];
    this.#bufferChars = 0;
    this.#writeRows(entries);
    return this.#prune();
  }

  /**
   * Reads on from `after`, about `maxChars` at a time; an answer without entries means that there is nothing more.
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

  /** Bytes of the frames with `after` < seq ≤ `upTo`. */
  sizeBetween(after: number, upTo: number): number {
    let size = 0;
    let from = after;
    while (from < upTo) {
      const chunk = this.read(from, 16 * ROW_MAX_CHARS);
      for (const entry of chunk.entries) {
        if (entry.kind === "event" && entry.seq <= upTo) size += bytesOf(entry);
      }
      if (chunk.upTo <= from) break;
      from = chunk.upTo;
    }
    return size;
  }

  /** Forgets every event; the numbering goes on. */
  clear(): void {
    this.#sql.exec("DELETE FROM journal WHERE session = ?", this.#session);
    this.#buffer = [];
    this.#bufferChars = 0;
    this.#safeChars = this.#takenChars;
    this.#storedChars = 0;
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
    this.#storedChars -= row.size;
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
    const parts = row.frames.length > PART_MAX_CHARS ? cutText(row.frames) : [row.frames];
    parts.forEach((frames, part) => {
      const size = frames.length + (part === 0 ? row.heads.length : 0);
      this.#storedChars += size;
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

  /** Gives up the oldest output first, row by row; when only terminal messages are left, the oldest of them. */
  #prune(): ExecutionId[] {
    const forgotten: ExecutionId[] = [];
    while (this.#storedChars > this.#maxChars) {
      const oldest = this.#take("is_pruned = 0 ORDER BY first_seq LIMIT 1");
      const keepTerminals = oldest.length > 0;
      const entries = keepTerminals ? oldest : this.#take("is_pruned = 1 AND frames <> '' ORDER BY first_seq LIMIT 1");
      const pruned = pruneEntries(entries, keepTerminals);
      const first = pruned[0];
      if (first === undefined) break;
      if (!keepTerminals) {
        for (const entry of entries) if (entry.kind === "event") forgotten.push(entry.executionId);
      }
      // Neighbours that were pruned before share a row with these, lest a million prints leave a thousand rows of gaps.
      const from = first.kind === "gap" ? first.from : first.seq;
      const before = this.#take(`is_pruned = 1 AND last_seq = ${from - 1} AND size < ${ROW_MAX_CHARS / 2}`);
      this.#insert(joinGaps([...before, ...pruned]), true);
    }
    return forgotten;
  }

  /** Removes a row with all its parts, and gives what pruning leaves of it or more; output that nobody will read is not read here either. */
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
    for (const row of rows) this.#storedChars -= row.size;
    return gap === null ? unpackRow(head.first_seq, head.heads, rows.map((row) => row.frames).join("")) : [gap];
  }
}
