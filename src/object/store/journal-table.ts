/** Owns the rows of one session's events in SQLite: writes them packed, reads them in order, deletes the oldest output first. */
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

export class JournalTable {
  readonly #sql: SqlStorage;
  readonly #session: SessionName;
  readonly #maxBytes: number;
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
    this.#lastSeq = totals.last ?? 0;
    this.#storedBytes = totals.size ?? 0;
  }

  /** The seq of the newest event that was ever written; 0 if there never was one. */
  get lastSeq(): number {
    return this.#lastSeq;
  }

  /** From this seq on every written event is still kept; null if no event or gap is stored. */
  get firstSeq(): number | null {
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
    return oldest.first;
  }

  /** Adds events. @returns the executions of which nothing is left, because they made room. */
  append(events: readonly JournalEvent[]): ExecutionId[] {
    const entries: JournalEntry[] = [...this.#takeTail(events[0]?.seq), ...events];
    this.#lastSeq = events.at(-1)?.seq ?? this.#lastSeq;
    this.#writeRows(entries);
    return this.#prune();
  }

  /** Each row with events after `after`: the seq with which it begins, and a way to its entries. */
  *rowsAfter(after: number): Generator<{ firstSeq: number; unpack: () => JournalEntry[] }> {
    for (const row of this.#rowsAfter(after)) {
      yield { firstSeq: row.first_seq, unpack: () => unpackRow(row.first_seq, row.heads, row.frames, after) };
    }
  }

  /** Bytes of the rows with events in `after` < seq ≤ `upTo`. */
  sizeBetween(after: number, upTo: number): number {
    let size = 0;
    const rows = this.#sql.exec<{ first_seq: number; size: number }>(
      "SELECT first_seq, size FROM journal WHERE session = ? AND last_seq > ? ORDER BY last_seq, part",
      this.#session,
      after,
    );
    for (const row of rows) {
      if (row.first_seq > upTo) break;
      size += row.size;
    }
    return size;
  }

  /** Deletes every row. @param lastSeq events up to here count as written. */
  delete(lastSeq: number): void {
    this.#sql.exec("DELETE FROM journal WHERE session = ?", this.#session);
    this.#storedBytes = 0;
    this.#tail = null;
    this.#lastSeq = lastSeq;
  }

  /** Leaves one gap, which tells clients that there were events. */
  writeGap(from: number, to: number): void {
    this.#insert([{ kind: "gap", from, to, size: 0 }], true);
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

  #takeTail(nextSeq: number | undefined): JournalEntry[] {
    const tail = this.#tail;
    this.#tail = null;
    if (tail === null || tail.lastSeq + 1 !== nextSeq) return [];
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
