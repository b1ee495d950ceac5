/**
 * Owns the pace of heavy work. All objects of a process share one thread, so long work is done in pieces, and the pieces of all callers
 * together have a pace: between two of them everyone else is served.
 */

const BYTES_PER_MS = 64 * 1024;
/** After a time without work, work of this many milliseconds may be done at once. */
const FREE_MS = 16;

let isFreeAtMs = 0;

/** Counts a piece of work of this size. @returns the milliseconds to wait before the next piece. */
export function takeTurn(bytes: number): number {
  const nowMs = Date.now();
  isFreeAtMs = Math.max(isFreeAtMs, nowMs - FREE_MS) + bytes / BYTES_PER_MS;
  return Math.max(0, isFreeAtMs - nowMs);
}

/** Takes the next turn for work of this size. @returns the milliseconds to wait before the work; null, and no turn, if that is longer than `maxMs`. */
export function queueTurn(bytes: number, maxMs: number): number | null {
  const waitMs = Math.max(0, isFreeAtMs - Date.now());
  if (waitMs > maxMs) return null;
  takeTurn(bytes);
  return waitMs;
}
