/** Owns when output that passed through is collected: workerd keeps what came over a WebSocket until a full collection, which Cloudflare's own limit brings about in time and a machine with much memory does not. */

const COLLECT_EVERY_CHARS = 16 * 1024 * 1024;

let receivedChars = 0;

/** Counts what a link brought; asks for a collection where the platform takes requests (`--expose-gc`, as `npm start` sets it). */
export function noteReceived(chars: number): void {
  receivedChars += chars;
  if (receivedChars < COLLECT_EVERY_CHARS) return;
  receivedChars = 0;
  (globalThis as { gc?: () => void }).gc?.();
}
