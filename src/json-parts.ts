/** Counts the values in JSON before it is parsed, because many small values take much longer to parse than the size suggests. */

/** Values, keys and brackets of one message or body. */
export const MAX_JSON_PARTS = 200_000;

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
/** `,` `:` `[` `{` */
const PARTS: ReadonlySet<number> = new Set([0x2c, 0x3a, 0x5b, 0x7b]);

/** How many parts the JSON has; counting stops beyond the limit. */
export function countJsonParts(text: string): number {
  let parts = 0;
  for (let at = 0; at < text.length && parts <= MAX_JSON_PARTS; at += 1) {
    const unit = text.charCodeAt(at);
    if (unit === QUOTE) at = endOfString(text, at);
    else if (PARTS.has(unit)) parts += 1;
  }
  return parts;
}

/** Where the string that begins at `start` ends. */
function endOfString(text: string, start: number): number {
  for (let end = text.indexOf('"', start + 1); end >= 0; end = text.indexOf('"', end + 1)) {
    let escapes = 0;
    while (text.charCodeAt(end - 1 - escapes) === BACKSLASH) escapes += 1;
    if (escapes % 2 === 0) return end;
  }
  return text.length;
}
