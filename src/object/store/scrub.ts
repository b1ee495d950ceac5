/**
 * Owns overwriting what was deleted. SQLite leaves deleted rows in free pages of its file and in old frames of its write-ahead log, and a
 * Durable Object may neither switch that off nor ask for a checkpoint of the log. So zeros are written until they have taken their place.
 */
import { sleep } from "../../deadline.ts";
import { takeTurn } from "../../pace.ts";
import { dropIndexes, rewriteTables } from "./schema.ts";

const MIB = 1024 * 1024;
/**
 * About a mebibyte. A row of this size fills the pages that it takes to their last byte: SQLite's file format gives 4,061 bytes of it to the
 * leaf, and 4,092 to each of 256 further pages.
 */
const PIECE_BYTES = 4056 + 256 * 4092;
/** SQLite goes back to the beginning of its log after about 4 MiB, so this goes round at least once, whatever the size of the file. */
const LEAST_BYTES = 10 * MIB;
/** Frames that one large transaction left far behind in the log are overwritten by another one of this size. */
const LARGE_TRANSACTION_BYTES = 12 * MIB;
/** Tables with more than this are not written anew, which would keep others waiting. */
const REWRITE_BYTES = 4 * MIB;

/**
 * Overwrites the free pages and the log; if little else is left, also the places in other pages that deleted rows had. Takes some tenths of a
 * second, in pieces.
 */
export async function scrub(storage: DurableObjectStorage): Promise<void> {
  const { sql } = storage;
  const isSmall = bytesInUse(sql) <= REWRITE_BYTES;
  if (isSmall) dropIndexes(sql);
  await overwriteFreePages(storage);
  if (!isSmall) return;
  // The new tables get clean pages; those of the former ones become free.
  rewriteTables(sql);
  await overwriteFreePages(storage);
}

async function overwriteFreePages(storage: DurableObjectStorage): Promise<void> {
  const { sql } = storage;
  const write = (bytes: number) => {
    for (let written = 0; written < bytes; written += PIECE_BYTES) {
      sql.exec("INSERT INTO scrub VALUES (zeroblob(?))", PIECE_BYTES);
    }
  };
  try {
    // As many as the file has pages: they take every free one.
    const bytes = Math.max(LEAST_BYTES, sql.databaseSize);
    for (let written = 0; written < bytes; written += PIECE_BYTES) {
      write(PIECE_BYTES);
      await storage.sync();
      await sleep(takeTurn(PIECE_BYTES));
    }
    write(LARGE_TRANSACTION_BYTES);
    await storage.sync();
  } finally {
    sql.exec("DELETE FROM scrub");
    await storage.sync();
  }
}

/** Bytes of the two large tables. */
function bytesInUse(sql: SqlStorage): number {
  return sql
    .exec<{ n: number }>(
      "SELECT (SELECT COALESCE(SUM(size), 0) FROM journal) + (SELECT COALESCE(SUM(code_bytes), 0) FROM execution) AS n",
    )
    .one().n;
}
