/** The journal by itself, in a real object's SQLite: packing, reading, pruning, large events. */
import { runInDurableObject } from "cloudflare:test";
import { describe, expect, it } from "vitest";
import { Journal } from "../../../../src/object/store/journal.ts";
import { cutText, type JournalEntry, type JournalEvent } from "../../../../src/object/store/journal-row.ts";
import type { EventType } from "../../../../src/protocol/event.ts";
import type { ExecutionId, SessionName } from "../../../../src/protocol/identity.ts";
import { stubOf } from "../../support/edge-client.ts";

const SESSION = "default" as SessionName;
const MIB = 1024 * 1024;

function event(seq: number, type: EventType = "output", size = 50, executionId = "x"): JournalEvent {
  const frame = `${seq}:`.padEnd(size, "é");
  return { kind: "event", seq, type, executionId: executionId as ExecutionId, frame };
}

/** Runs `use` with the SQLite of an object of its own. */
function withSql<T>(use: (sql: SqlStorage) => T): Promise<T> {
  return runInDurableObject(stubOf(`j-${crypto.randomUUID()}`), (_, state) => use(state.storage.sql));
}

function readAll(journal: Journal, after = 0, executionId?: ExecutionId): JournalEntry[] {
  const entries: JournalEntry[] = [];
  for (let at = after; ; ) {
    const { entries: found, upTo } = journal.read(at, 10_000, executionId);
    entries.push(...found);
    if (upTo <= at) return entries;
    at = upTo;
  }
}

/** Without the byte counts, which the journal notes on the way. */
const contentOf = (entries: readonly JournalEntry[]) => entries.map((entry) => ({ ...entry, bytes: undefined }));
const seqsOf = (entries: readonly JournalEntry[]) =>
  entries.map((entry) => (entry.kind === "gap" ? `${entry.from}-${entry.to}` : entry.seq));

describe("the journal", () => {
  it("gives back what it took, written or not, from any seq on", async () => {
    await withSql((sql) => {
      const journal = new Journal(sql, SESSION, 16 * MIB);
      const events = Array.from({ length: 3000 }, (_, index) => event(index + 1));
      for (const one of events.slice(0, 2500)) {
        journal.append(one);
        if (one.seq % 7 === 0) journal.flush();
      }
      const woken = new Journal(sql, SESSION, 16 * MIB);
      expect(woken.lastSeq).toBe(2499);
      for (const one of events.slice(2499)) woken.append(one);
      for (const after of [0, 1, 1234, 2499, 2500, 2999]) {
        expect(contentOf(readAll(woken, after))).toEqual(contentOf(events.slice(after)));
      }
      expect(readAll(woken, 3000)).toEqual([]);
      expect([woken.firstSeq, woken.lastSeq]).toEqual([1, 3000]);
    });
  });

  it("packs a hundred thousand small prints into few rows", async () => {
    await withSql((sql) => {
      const journal = new Journal(sql, SESSION, 64 * MIB);
      for (let seq = 1; seq <= 100_000; seq += 1) {
        journal.append(event(seq, "output", 100));
        if (seq % 2000 === 0) journal.flush();
      }
      const { rows } = sql.exec<{ rows: number }>("SELECT COUNT(*) AS rows FROM journal").one();
      expect(rows).toBeLessThan(250);
    });
  });

  it("keeps an event larger than a row of SQLite whole", async () => {
    await withSql((sql) => {
      const journal = new Journal(sql, SESSION, 64 * MIB);
      const large: JournalEvent = { ...event(2, "display"), frame: "é😀x".repeat(MIB) };
      for (const one of [event(1), large, event(3)]) journal.append(one);
      journal.flush();
      expect(contentOf(readAll(new Journal(sql, SESSION, 64 * MIB)))).toEqual(contentOf([event(1), large, event(3)]));
      expect(cutText("a😀b", 2)).toEqual(["a", "😀", "b"]);
    });
  });

  it("gives up the oldest output first and terminal messages last, and says what is gone", async () => {
    await withSql((sql) => {
      const journal = new Journal(sql, SESSION, 300_000);
      const forgotten: string[] = [];
      for (let seq = 1; seq <= 4000; seq += 1) {
        const isEnd = seq % 100 === 0;
        journal.append(event(seq, isEnd ? "result" : "output", 500, `x${Math.ceil(seq / 100)}`));
        if (isEnd) forgotten.push(...journal.flush());
      }
      expect(forgotten).toEqual([]);
      const entries = readAll(journal);
      expect(entries.filter((entry) => entry.kind === "event" && entry.type === "result").length).toBe(40);
      expect(seqsOf(entries).slice(0, 4)).toEqual(["1-99", 100, "101-199", 200]);
      let next = 1;
      for (const entry of entries) {
        expect(entry.kind === "gap" ? entry.from : entry.seq).toBe(next);
        next = (entry.kind === "gap" ? entry.to : entry.seq) + 1;
      }
      expect(next).toBe(4001);
      const { size } = sql
        .exec<{ size: number }>(
          "SELECT SUM(LENGTH(CAST(heads AS BLOB)) + LENGTH(CAST(frames AS BLOB))) AS size FROM journal",
        )
        .one();
      expect(size).toBeLessThanOrEqual(300_000);
      expect(readAll(new Journal(sql, SESSION, 300_000))).toEqual(entries);
      expect(journal.firstSeq).toBeGreaterThan(3000);
    });
  });

  it("counts bytes, not characters", async () => {
    await withSql((sql) => {
      const maxBytes = 100_000;
      const journal = new Journal(sql, SESSION, maxBytes);
      for (let seq = 1; seq <= 200; seq += 1) {
        journal.append({ ...event(seq), frame: "漢".repeat(1000) });
        journal.flush();
      }
      const events = readAll(journal).filter((entry) => entry.kind === "event");
      expect(events.length).toBeGreaterThan(20);
      expect(events.length).toBeLessThanOrEqual(maxBytes / 3000);
    });
  });

  it("leaves a gap in the place of everything that was purged, also for a later object", async () => {
    await withSql((sql) => {
      const journal = new Journal(sql, SESSION, MIB);
      for (const one of [event(1), event(2)]) journal.append(one);
      journal.flush();
      journal.append(event(3));
      journal.purge();
      for (const one of [journal, new Journal(sql, SESSION, MIB)]) {
        expect(seqsOf(readAll(one))).toEqual(["1-3"]);
        expect([one.firstSeq, one.lastSeq, one.isEmpty]).toEqual([4, 3, true]);
      }
      journal.append(event(4));
      expect([journal.firstSeq, journal.isEmpty]).toEqual([4, false]);
      journal.delete();
      expect(new Journal(sql, SESSION, MIB).lastSeq).toBe(0);
    });
  });

  it("forgets terminal messages too when nothing else is left to give up", async () => {
    await withSql((sql) => {
      const journal = new Journal(sql, SESSION, 100_000);
      const forgotten: string[] = [];
      for (let seq = 1; seq <= 1000; seq += 1) {
        journal.append(event(seq, "result", 500, `x${seq}`));
        forgotten.push(...journal.flush());
      }
      const entries = readAll(journal);
      const kept = entries.filter((entry) => entry.kind === "event");
      expect(kept.length).toBeGreaterThan(50);
      expect(forgotten).toEqual(Array.from({ length: 1000 - kept.length }, (_, index) => `x${index + 1}`));
      expect(seqsOf(entries)[0]).toBe(`1-${1000 - kept.length}`);
    });
  });

  it("reads one execution's events among others, across a new incarnation's numbers", async () => {
    await withSql((sql) => {
      const journal = new Journal(sql, SESSION, MIB);
      const events = [event(1, "output", 50, "a"), event(2, "result", 50, "a"), event(5_000_001, "output", 50, "b")];
      for (const one of events) journal.append(one);
      journal.flush();
      journal.append(event(5_000_002, "output", 50, "a"));
      expect(seqsOf(readAll(journal, 0, "a" as ExecutionId))).toEqual([1, 2, 5_000_002]);
      expect(seqsOf(readAll(journal))).toEqual([1, 2, 5_000_001, 5_000_002]);
      // Fifty characters each, most of them of two bytes. A row counts whole.
      const size = journal.sizeBetween(1, 5_000_001);
      expect(size).toBeGreaterThanOrEqual(98 + 92);
      expect(size).toBeLessThan(500);
      expect(journal.sizeBetween(5_000_002, 6_000_000)).toBe(0);
    });
  });
});
