/** The table of executions by itself, in a real object's SQLite. */
import { describe, expect, it } from "vitest";
import type { ClientStores } from "../../../../src/object/session/client-stores.ts";
import { ExecutionTable } from "../../../../src/object/store/execution-table.ts";
import { createTables } from "../../../../src/object/store/schema.ts";
import type { ErrorReason } from "../../../../src/protocol/event.ts";
import type { ExecutionId, SessionName } from "../../../../src/protocol/identity.ts";
import { eventOf, MIB, SESSION, withStores } from "../../support/object-parts.ts";

const OTHER = "other" as SessionName;
const id = (text: string) => text as ExecutionId;

const tableOf = (stores: ClientStores, maxCodeBytes = MIB) => new ExecutionTable(stores.ctx.storage.sql, maxCodeBytes);

function add(table: ExecutionTable, name: string, { session = SESSION, code = "1" } = {}) {
  return table.add({ executionId: id(name), session, policy: "commit_always", timeout: 30, code });
}

function end(table: ExecutionTable, name: string, seq = 1, session = SESSION) {
  return table.noteEvent(session, eventOf(seq, 0, name, "result"));
}

function failed(name: string, reason: ErrorReason | "unheard_of") {
  const frame = JSON.stringify({ type: "error", seq: 1, data: { execution_id: name, reason } });
  return { kind: "event" as const, seq: 1, type: "error" as const, executionId: id(name), frame };
}

describe("executions", () => {
  it("are known before and after they are written, and to a later object", () =>
    withStores((stores) => {
      const table = tableOf(stores);
      const record = add(table, "a");
      expect([table.held(id("a")), table.find(id("a"))]).toEqual([record, record]);
      table.noteEvent(SESSION, eventOf(3, 0, "a"), record.submittedAt + 1);
      end(table, "a", 4);
      table.flush();
      expect(table.held(id("a"))).toBeUndefined();
      for (const one of [table, tableOf(stores)]) {
        expect(one.find(id("a"))).toEqual(record);
        expect(one.find(id("b"))).toBeUndefined();
      }
      expect(record).toMatchObject({ status: "succeeded", firstSeq: 3, lastSeq: 4, startedAt: record.submittedAt + 1 });
    }));

  it("get no ordinal that a session's record names already, though its row is gone", () =>
    withStores((stores) => {
      const table = tableOf(stores);
      table.skipTo(7);
      table.skipTo(3);
      expect([table.lastOrdinal, add(table, "a").ordinal]).toEqual([7, 8]);
    }));

  it("that run are held by a later object, in order, and counted for their session", () =>
    withStores((stores) => {
      const table = tableOf(stores);
      for (const name of ["a", "b", "c"]) add(table, name);
      add(table, "d", { session: OTHER });
      end(table, "b");
      table.flush();
      const later = tableOf(stores);
      expect(later.unfinished(SESSION).map((one) => one.executionId)).toEqual(["a", "c"]);
      expect([later.unfinishedCount(SESSION), later.unfinishedCount(OTHER)]).toEqual([2, 1]);
      expect(later.lastOrdinal).toBe(4);
      expect(add(later, "e").ordinal).toBe(5);
    }));

  it("have the status that their ending says", () =>
    withStores((stores) => {
      const table = tableOf(stores);
      const reasons = [
        "exception",
        "timeout",
        "cancelled",
        "interrupted",
        "process_died",
        "runner_lost",
        "unheard_of",
      ] as const;
      const statuses = reasons.map((reason) => {
        add(table, reason);
        return table.noteEvent(SESSION, failed(reason, reason)).status;
      });
      expect(statuses).toEqual(["failed", "timed_out", "cancelled", "cancelled", "crashed", "lost", "failed"]);
    }));

  it("are added again if only the runner remembers them", () =>
    withStores((stores) => {
      const table = tableOf(stores);
      expect(table.noteEvent(SESSION, eventOf(1, 0, "ghost"))).toMatchObject({ code: null, status: "running" });
      expect(table.unfinishedCount(SESSION)).toBe(1);
    }));

  it("start once, and never before they were submitted", () =>
    withStores((stores) => {
      const table = tableOf(stores);
      const record = add(table, "a");
      expect(table.noteStarted(id("a"), record.submittedAt - 5)).toBe(true);
      expect(record.startedAt).toBe(record.submittedAt);
      expect(table.noteStarted(id("a"), record.submittedAt + 5)).toBe(false);
      expect(table.noteStarted(id("nobody"), 1)).toBe(false);
    }));

  it("that no runner took leave nothing, written or not", () =>
    withStores((stores) => {
      const table = tableOf(stores);
      table.remove(add(table, "a"));
      const written = add(table, "b");
      table.flush();
      table.remove(written);
      table.flush();
      expect([table.find(id("a")), table.find(id("b")), table.count(SESSION), table.unfinishedCount(SESSION)]).toEqual([
        undefined,
        undefined,
        0,
        0,
      ]);
    }));

  it("are listed newest first, page by page, of one session or all", () =>
    withStores((stores) => {
      const table = tableOf(stores);
      for (const name of ["a", "b", "c"]) add(table, name);
      add(table, "d", { session: OTHER });
      table.flush();
      const names = (session: SessionName | undefined, limit: number, before: number) =>
        table.list(session, limit, before).map((one) => one.executionId);
      expect(names(undefined, 10, 100)).toEqual(["d", "c", "b", "a"]);
      expect([names(SESSION, 2, 100), names(SESSION, 2, 2)]).toEqual([["c", "b"], ["a"]]);
    }));

  it("count as lost with their state if they ended after the last checkpoint", () =>
    withStores((stores) => {
      const table = tableOf(stores);
      for (const name of ["a", "b", "c", "d"]) add(table, name);
      for (const name of ["a", "b", "c"]) end(table, name);
      add(table, "gone");
      table.noteEvent(SESSION, failed("gone", "runner_lost"));
      table.flush();
      expect(table.since(SESSION, 1, 10)).toEqual(["b", "c"]);
      expect(table.since(SESSION, 0, 2)).toEqual(["b", "c"]);
    }));

  it("make room by the bytes of their code, the oldest ended ones first, and never one that runs", () =>
    withStores((stores) => {
      const table = tableOf(stores, 10_000);
      add(table, "runs", { code: "漢".repeat(1000) });
      for (let at = 0; at < 40; at += 1) {
        add(table, `e${at}`, { code: "漢".repeat(100) });
        end(table, `e${at}`);
        table.flush();
      }
      expect(table.find(id("runs"))?.status).toBe("running");
      expect(table.find(id("e0"))).toBeUndefined();
      expect(table.find(id("e39"))).toBeDefined();
      const { bytes } = stores.ctx.storage.sql
        .exec<{ bytes: number }>("SELECT SUM(LENGTH(CAST(code AS BLOB))) AS bytes FROM execution")
        .one();
      expect(bytes).toBeLessThanOrEqual(10_000);
    }));

  it("of a session are forgotten with it", () =>
    withStores((stores) => {
      const table = tableOf(stores);
      add(table, "a");
      add(table, "b", { session: OTHER });
      table.flush();
      add(table, "c");
      table.clear(SESSION);
      table.flush();
      expect(["a", "b", "c"].map((name) => table.find(id(name)) !== undefined)).toEqual([false, true, false]);
    }));

  it("of version 0.3 are still there", () =>
    withStores((stores) => {
      const { sql } = stores.ctx.storage;
      sql.exec("ALTER TABLE execution RENAME COLUMN code_bytes TO code_chars");
      createTables(sql);
      const table = tableOf(stores);
      add(table, "a");
      table.flush();
      expect(tableOf(stores).find(id("a"))?.code).toBe("1");
    }));
});
