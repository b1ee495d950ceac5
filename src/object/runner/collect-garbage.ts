/** Owns when output that passed through is collected: workerd keeps what came over a WebSocket until a full collection, which Cloudflare's own limit brings about in time and a machine with much memory does not. */

const COLLECT_EVERY_CHARS = 16 * 1024 * 1024;

let passedChars = 0;

/** Counts what a link brought, or was read to be put together; asks for a collection where the platform takes requests (`--expose-gc`, as `npm start` sets it). */
export function notePassed(chars: number): void {
  passedChars += chars;
  if (passedChars < COLLECT_EVERY_CHARS) return;
  passedChars = 0;
  (globalThis as { gc?: () => void }).gc?.();
}
