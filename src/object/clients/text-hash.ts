/** Owns the hash that stands for an id in a WebSocket's attachment, which holds at most 16 KiB. */

const FIRST_SEED = 0x811c9dc5;
const SECOND_SEED = 0x9747b28c;
const PRIME = 0x01000193;

/** A number of 53 bits that the same text always gives (FNV-1a, twice). */
export function hashText(text: string): number {
  let first = FIRST_SEED;
  let second = SECOND_SEED;
  for (let at = 0; at < text.length; at += 1) {
    const unit = text.charCodeAt(at);
    first = Math.imul(first ^ unit, PRIME);
    second = Math.imul(second ^ unit ^ (unit << 8), PRIME);
  }
  return (second >>> 11) * 2 ** 32 + (first >>> 0);
}
