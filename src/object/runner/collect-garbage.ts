/** Owns when the memory of relayed output is collected. workerd keeps WebSocket messages until a full collection. */

const COLLECT_EVERY_CHARS = 16 * 1024 * 1024;

let passedChars = 0;

/** Counts characters that a link brought or a view was made of. Starts a collection if the platform allows that (`npm start` sets `--expose-gc`). */
export function notePassed(chars: number): void {
  passedChars += chars;
  if (passedChars < COLLECT_EVERY_CHARS) return;
  passedChars = 0;
  (globalThis as { gc?: () => void }).gc?.();
}
