/** Cutting a blob by its content: the sizes of pieces, and what an insertion leaves as it was. */
import { createHash } from "node:crypto";
import { expect, it } from "vitest";
import { type BlobPiece, MAX_PIECE_BYTES } from "../../../../src/protocol/link.ts";
import { PieceCutter } from "../../../../worker-runner/session/state/piece-cutter.ts";

const MIB = 1024 * 1024;

/** Bytes without a pattern, the same each time. */
function noise(size: number, seed = 1): Buffer {
  const blocks = Array.from({ length: Math.ceil(size / 64) }, (_, at) => createHash("sha512").update(`${seed} ${at}`));
  return Buffer.concat(blocks.map((block) => block.digest())).subarray(0, size);
}

/** @param step bytes of one write. */
function cut(bytes: Buffer, step = 262_144): BlobPiece[] {
  const cutter = new PieceCutter();
  for (let at = 0; at < bytes.length; at += step) cutter.write(bytes.subarray(at, at + step));
  return cutter.finish();
}

function newBytes(before: BlobPiece[], after: BlobPiece[]): number {
  const known = new Set(before.map(({ sha256 }) => sha256));
  return after.reduce((sum, { sha256, size }) => sum + (known.has(sha256) ? 0 : size), 0);
}

const content = noise(8 * MIB);
const pieces = cut(content);

it("makes pieces of bounded sizes, whose hashes are those of their bytes, however the bytes come", () => {
  expect(pieces.length).toBeGreaterThan(16);
  expect(Math.max(...pieces.map(({ size }) => size))).toBeLessThanOrEqual(MAX_PIECE_BYTES);
  expect(Math.min(...pieces.slice(0, -1).map(({ size }) => size))).toBeGreaterThanOrEqual(64 * 1024);
  let at = 0;
  for (const { sha256, size } of pieces) {
    expect(
      createHash("sha256")
        .update(content.subarray(at, at + size))
        .digest("hex"),
    ).toBe(sha256);
    at += size;
  }
  expect(at).toBe(content.length);
  for (const step of [1_000, 65_537, content.length]) expect(cut(content, step)).toEqual(pieces);
});

it("leaves all pieces but a few as they were if bytes change, come or go", () => {
  const changed = Buffer.from(content);
  changed[4 * MIB] = (changed[4 * MIB] ?? 0) ^ 1;
  const inserted = Buffer.concat([noise(100, 2), content]);
  const removed = Buffer.concat([content.subarray(0, 3 * MIB), content.subarray(3 * MIB + 5_000)]);
  for (const other of [changed, inserted, removed]) expect(newBytes(pieces, cut(other))).toBeLessThan(1.5 * MIB);
});

it("cuts what repeats one byte into equal pieces, and makes nothing of nothing", () => {
  const same = cut(Buffer.alloc(4 * MIB));
  expect(new Set(same.map(({ sha256 }) => sha256)).size).toBe(1);
  expect(cut(Buffer.alloc(0))).toEqual([]);
  expect(cut(Buffer.from("a"))).toHaveLength(1);
});
