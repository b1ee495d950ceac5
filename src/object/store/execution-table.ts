/** Owns the rows of a client's executions: code, status and times. The journal owns their events. */

import { byteLength } from "../../byte-length.ts";
import { isTerminal } from "../../protocol/event.ts";
import type { ExecutionId, SessionName } from "../../protocol/identity.ts";
import { type ExecutionRecord, type ExecutionRow, recordOf } from "./execution-record.ts";
import { statusOf } from "./execution-status.ts";
import type { JournalEvent } from "./journal-row.ts";

/** Up to this many ids are held in memory, so that a new id needs no query. */
const MAX_KNOWN_IDS = 16_384;

/** Running and unwritten executions are in memory; SQLite has all others. */
export class ExecutionTable {
  readonly #sql: SqlStorage;
  readonly #held = new Map<ExecutionId, ExecutionRecord>();
  /** The executions that have not ended, per session in order. */
  readonly #unfinished = new Map<SessionName, Set<ExecutionRecord>>();
  readonly #unwritten = new Set<ExecutionRecord>();
  /** New executions that the next flush writes for the first time. */
  readonly #counted = new Set<ExecutionRecord>();
  /** Every id in SQLite; null if there are too many, or if they were not read yet. */
  #written: Set<string> | null = null;
  #writtenCount: number;
  readonly #maxCodeBytes: number;
  #codeBytes: number;
  #nextOrdinal: number;

  /** @param maxCodeBytes limits the code of all executions together; past it the oldest are deleted. */
  constructor(sql: SqlStorage, maxCodeBytes: number) {
    this.#sql = sql;
    this.#maxCodeBytes = maxCodeBytes;
    const { n, count } = sql
      .exec<{ n: number | null; count: number }>("SELECT SUM(code_bytes) AS n, COUNT(*) AS count FROM execution")
      .one();
    this.#codeBytes = n ?? 0;
    this.#writtenCount = count;
    const last = sql.exec<{ last: number | null }>("SELECT MAX(ordinal) AS last FROM execution").one().last;
    this.#nextOrdinal = (last ?? 0) + 1;
    for (const row of sql.exec<ExecutionRow>("SELECT * FROM execution WHERE status = 'running' ORDER BY ordinal")) {
      this.#hold(recordOf(row));
    }
  }

  get lastOrdinal(): number {
    return this.#nextOrdinal - 1;
  }

  /**
   * Gives no execution an ordinal up to `ordinal`. A session's record can name an ordinal whose row is not there: the object ended
   * before the row was written, or the row was deleted. A new execution of that ordinal would count as part of the stored state.
   */
  skipTo(ordinal: number): void {
    this.#nextOrdinal = Math.max(this.#nextOrdinal, ordinal + 1);
  }

  /** In memory, without asking SQLite. */
  held(id: ExecutionId): ExecutionRecord | undefined {
    return this.#held.get(id);
  }

  find(id: ExecutionId): ExecutionRecord | undefined {
    const held = this.#held.get(id);
    if (held !== undefined) return held;
    if (!this.#isWritten(id)) return undefined;
    const row = this.#sql.exec<ExecutionRow>("SELECT * FROM execution WHERE execution_id = ?", id).toArray()[0];
    return row === undefined ? undefined : recordOf(row);
  }

  add(
    asked: Pick<ExecutionRecord, "executionId" | "session" | "policy" | "timeout" | "code"> &
      Partial<Pick<ExecutionRecord, "reportsFiles">>,
  ): ExecutionRecord {
    const record: ExecutionRecord = {
      reportsFiles: false,
      ...asked,
      ordinal: this.#nextOrdinal,
      status: "running",
      submittedAt: Date.now() / 1000,
      startedAt: null,
      finishedAt: null,
      firstSeq: null,
      lastSeq: null,
    };
    this.#nextOrdinal += 1;
    this.#hold(record);
    this.#unwritten.add(record);
    this.#counted.add(record);
    return record;
  }

  /** Removes an execution that never reached a runner. */
  remove(record: ExecutionRecord): void {
    this.#held.delete(record.executionId);
    this.#unfinished.get(record.session)?.delete(record);
    this.#unwritten.delete(record);
    if (!this.#counted.delete(record)) this.#dropRows("execution_id = ?", record.executionId);
  }

  /** The executions that have not ended, oldest first. */
  unfinished(session: SessionName): ExecutionRecord[] {
    return [...(this.#unfinished.get(session) ?? [])];
  }

  unfinishedCount(session: SessionName): number {
    return this.#unfinished.get(session)?.size ?? 0;
  }

  /** @returns whether this was not known yet. */
  noteStarted(id: ExecutionId, startedAt: number): boolean {
    const record = this.#held.get(id);
    if (record === undefined || record.startedAt !== null) return false;
    // The clocks of edge and runner can differ.
    record.startedAt = Math.max(startedAt, record.submittedAt);
    this.#unwritten.add(record);
    return true;
  }

  /** Updates the execution of an event. An execution that only the runner remembers is added again. */
  noteEvent(session: SessionName, event: JournalEvent, startedAt?: number): ExecutionRecord {
    const { executionId: id, type, seq, frame } = event;
    const record =
      this.#held.get(id) ??
      this.find(id) ??
      this.add({ executionId: id, session, policy: "commit_always", timeout: 0, code: null });
    if (startedAt !== undefined) record.startedAt ??= Math.max(startedAt, record.submittedAt);
    record.firstSeq ??= seq;
    record.lastSeq = seq;
    this.#held.set(id, record);
    this.#unwritten.add(record);
    if (isTerminal(type)) {
      record.status = statusOf(type as "result" | "error", frame);
      this.#unfinished.get(session)?.delete(record);
      record.finishedAt = Date.now() / 1000;
    }
    return record;
  }

  /** Writes what changed, and drops ended executions from memory. */
  flush(): void {
    for (const record of this.#unwritten) {
      const codeBytes = record.code === null ? 0 : byteLength(record.code);
      this.#sql.exec(
        "INSERT OR REPLACE INTO execution (execution_id, ordinal, session, status, transaction_policy, timeout, submitted_at, started_at, finished_at, first_seq, last_seq, code_bytes, code, report_files) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        record.executionId,
        record.ordinal,
        record.session,
        record.status,
        record.policy,
        record.timeout,
        record.submittedAt,
        record.startedAt,
        record.finishedAt,
        record.firstSeq,
        record.lastSeq,
        codeBytes,
        record.code,
        record.reportsFiles ? 1 : 0,
      );
      if (record.status !== "running") this.#held.delete(record.executionId);
      if (this.#counted.delete(record)) {
        this.#codeBytes += codeBytes;
        this.#writtenCount += 1;
        this.#written?.add(record.executionId);
      }
    }
    this.#unwritten.clear();
    this.#prune();
  }

  /** Newest first, from before `before` (an ordinal); call `flush` first. */
  list(session: SessionName | undefined, limit: number, before: number): ExecutionRecord[] {
    const rows =
      session === undefined
        ? this.#sql.exec<ExecutionRow>(
            "SELECT * FROM execution WHERE ordinal < ? ORDER BY ordinal DESC LIMIT ?",
            before,
            limit,
          )
        : this.#sql.exec<ExecutionRow>(
            "SELECT * FROM execution WHERE session = ? AND ordinal < ? ORDER BY ordinal DESC LIMIT ?",
            session,
            before,
            limit,
          );
    return rows.toArray().map(recordOf);
  }

  /** How many a session has; call `flush` first. */
  count(session: SessionName): number {
    return this.#sql.exec<{ n: number }>("SELECT COUNT(*) AS n FROM execution WHERE session = ?", session).one().n;
  }

  /** The newest executions of a session after `ordinal`; call `flush` first. */
  since(session: SessionName, ordinal: number, limit: number): ExecutionId[] {
    return this.#sql
      .exec<{ execution_id: string }>(
        "SELECT execution_id FROM (SELECT execution_id, ordinal FROM execution WHERE session = ? AND ordinal > ? AND status NOT IN ('running', 'lost') ORDER BY ordinal DESC LIMIT ?) ORDER BY ordinal",
        session,
        ordinal,
        limit,
      )
      .toArray()
      .map((row) => row.execution_id as ExecutionId);
  }

  /** Deletes executions of which the journal has nothing left. */
  forget(ids: readonly ExecutionId[]): void {
    for (const id of ids) {
      this.#dropRows("execution_id = ? AND status <> 'running'", id);
    }
  }

  /** Deletes the oldest ended executions, so that code alone cannot fill the storage. */
  #prune(): void {
    while (this.#codeBytes > this.#maxCodeBytes) {
      const oldest = "SELECT ordinal FROM execution WHERE status <> 'running' ORDER BY ordinal LIMIT 16";
      if (this.#dropRows(`ordinal IN (${oldest})`) === 0) return;
    }
  }

  #dropRows(where: string, ...values: string[]): number {
    const gone = this.#sql
      .exec<Pick<ExecutionRow, "execution_id"> & { code_bytes: number }>(
        `DELETE FROM execution WHERE ${where} RETURNING execution_id, code_bytes`,
        ...values,
      )
      .toArray();
    for (const row of gone) {
      this.#codeBytes -= row.code_bytes;
      this.#written?.delete(row.execution_id);
    }
    this.#writtenCount -= gone.length;
    return gone.length;
  }

  /** False if SQLite certainly has no such execution. */
  #isWritten(id: ExecutionId): boolean {
    // Two bounds, so that a count near the limit does not read the ids again and again.
    if (this.#writtenCount > (this.#written === null ? MAX_KNOWN_IDS / 2 : MAX_KNOWN_IDS)) {
      this.#written = null;
      return true;
    }
    this.#written ??= new Set(
      this.#sql
        .exec<Pick<ExecutionRow, "execution_id">>("SELECT execution_id FROM execution")
        .toArray()
        .map((row) => row.execution_id),
    );
    return this.#written.has(id);
  }

  #hold(record: ExecutionRecord): void {
    this.#held.set(record.executionId, record);
    const unfinished = this.#unfinished.get(record.session) ?? new Set();
    this.#unfinished.set(record.session, unfinished.add(record));
  }

  /** Deletes every execution of a session. */
  clear(session: SessionName): void {
    this.#unfinished.delete(session);
    for (const record of this.#held.values()) {
      if (record.session !== session) continue;
      this.#held.delete(record.executionId);
      this.#unwritten.delete(record);
      this.#counted.delete(record);
    }
    this.#dropRows("session = ?", session);
  }
}
