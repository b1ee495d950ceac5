/** Overwriting deleted data leaves what is kept as it was. */
import { runInDurableObject } from "cloudflare:test";
import { expect, it } from "vitest";
import { createTables } from "../../../../src/object/store/schema.ts";
import { scrub } from "../../../../src/object/store/scrub.ts";
import { stubOf } from "../../support/edge-client.ts";

it("keeps every row, table and index, and leaves no table of its own filled", () =>
  runInDurableObject(stubOf(`scrub-${crypto.randomUUID()}`), async (_, { storage }) => {
    const { sql } = storage;
    createTables(sql);
    // As in an object of an older version: the column stands at the end.
    sql.exec("ALTER TABLE owner ADD COLUMN added TEXT DEFAULT 'later'");
    sql.exec("INSERT OR REPLACE INTO owner (only_row, tenant, client_id) VALUES (1, 't', 'c')");
    sql.exec("ALTER TABLE owner DROP COLUMN added");
    sql.exec("INSERT INTO session VALUES ('one', '{}')");
    for (let seq = 1; seq <= 50; seq += 1) {
      sql.exec("INSERT INTO journal VALUES ('one', ?, 0, ?, 0, 9, '{}', ?)", seq, seq, "x".repeat(5000));
    }
    const look = () => ({
      schema: sql.exec("SELECT type, name FROM sqlite_master WHERE name NOT LIKE 'sqlite%' ORDER BY name").toArray(),
      owner: sql.exec("SELECT * FROM owner").toArray(),
      session: sql.exec("SELECT * FROM session").toArray(),
      journal: sql.exec("SELECT * FROM journal ORDER BY last_seq").toArray(),
    });
    const before = look();
    await scrub(storage);
    expect(look()).toEqual(before);
    expect(sql.exec("SELECT COUNT(*) AS n FROM scrub").one()).toEqual({ n: 0 });
  }));
