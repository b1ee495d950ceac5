/** A small change of a large state changes few pieces of its blob, so that storing it again moves little. Real interpreters. */
import { expect, it } from "vitest";
import { result, startSession } from "../../borrowed-session.ts";

const MAX_MOVED_BYTES = 2_000_000;

const state = `import random
r = random.Random(1)
numbers = [r.random() for _ in range(300_000)]
by_name = {f"name {i}": r.random() for i in range(150_000)}
table = {column: [r.random() for _ in range(200_000)] for column in "ab"}
image = bytearray(r.randbytes(4_000_000))
rows = [{"id": i, "share": r.random()} for i in range(150_000)]`;

const changes = [
  "numbers.append(1)",
  "numbers.insert(0, 1)",
  "numbers[150_000] = 'text'",
  "by_name['name 75000'] = None",
  "del by_name['name 7']",
  "by_name['new'] = 1",
  "for column in table.values(): column.append(1)",
  "for column in table.values(): del column[5]",
  "table['e'] = [0] * 2000",
  "image[0:0] = b'header'",
  "rows[50_000]['share'] = 'none'",
  "del rows[100]",
  "first = rows[0]",
  "other = {'a': 1}",
];

const look = `import hashlib
def digest(value): return hashlib.sha256(repr(value).encode()).hexdigest()
[digest(value) for value in (numbers, by_name, table, image, rows, other)] + [first is rows[0]]`;

it("moves at most 2 MB for each of many small changes of a state of 16 MB, and all of it comes back", async () => {
  const session = await startSession();
  await result(session, state, { timeout: 100 });
  let stored = await session.checkpoint();
  expect(stored.size).toBeGreaterThan(15_000_000);
  for (const change of changes) {
    await result(session, change);
    const known = new Set(stored.pieces.map(({ sha256 }) => sha256));
    const next = await session.checkpoint();
    const moved = next.pieces.reduce((sum, { sha256, size }) => sum + (known.has(sha256) ? 0 : size), 0);
    expect([change, moved]).toEqual([change, expect.toSatisfy((bytes: number) => bytes <= MAX_MOVED_BYTES)]);
    session.dropCheckpoint(stored.checkpointId);
    stored = next;
  }
  const before = (await result(session, look, { timeout: 100 })).value;
  const other = await startSession();
  expect(await other.restore(stored.checkpointId, { blobPath: stored.blobPath })).toMatchObject({ missing: [] });
  expect((await result(other, look, { timeout: 100 })).value).toEqual(before);
});
