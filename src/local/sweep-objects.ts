/** Owns removing the empty database file that workerd leaves when an object's storage was deleted. */
import { readdir, stat, unlink } from "node:fs/promises";
import { join } from "node:path";

/** SQLite's page. Each table has a page beside the first one. */
const PAGE_BYTES = 4096;
const DATABASE = /^[0-9a-f]{64}\.sqlite$/;

/** Removes the empty databases of one class of objects. Call it while workerd does not run. @returns how many there were. */
export async function sweepObjects(folder: string): Promise<number> {
  // The folder is not there before the first start.
  const names = await readdir(folder).catch(() => []);
  const all = new Set(names);
  let removed = 0;
  for (const name of names) {
    // A log beside it has changes that are not in the file yet.
    if (!DATABASE.test(name) || all.has(`${name}-wal`)) continue;
    const path = join(folder, name);
    if ((await stat(path)).size > PAGE_BYTES) continue;
    await unlink(path);
    removed += 1;
  }
  return removed;
}
