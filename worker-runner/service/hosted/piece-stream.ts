/** Owns reading some pieces of a blob's file, one behind the other, as the edge asks for them. */
import { createReadStream } from "node:fs";
import type { BlobPiece } from "../../../src/protocol/link.ts";

interface Range {
  start: number;
  /** Exclusive. */
  end: number;
}

const RANGES = /^\d+-\d+(,\d+-\d+)*$/;

/**
 * The places of pieces in their blob.
 *
 * @param asked `0-3,7-7`, in ascending order.
 * @returns null if that names no pieces of the blob.
 */
export function rangesOfPieces(pieces: readonly BlobPiece[], asked: string): Range[] | null {
  if (!RANGES.test(asked)) return null;
  const starts = [0];
  for (const { size } of pieces) starts.push((starts.at(-1) ?? 0) + size);
  const ranges: Range[] = [];
  for (const part of asked.split(",")) {
    const [first = 0, last = 0] = part.split("-").map(Number);
    const start = starts[first];
    const end = starts[last + 1];
    if (start === undefined || end === undefined || start >= end || start < (ranges.at(-1)?.end ?? 0)) return null;
    ranges.push({ start, end });
  }
  return ranges;
}

/** @throws Error if the file is gone. */
export async function* readRanges(path: string, ranges: readonly Range[]): AsyncGenerator<Uint8Array> {
  for (const { start, end } of ranges) yield* createReadStream(path, { start, end: end - 1, highWaterMark: 262_144 });
}
