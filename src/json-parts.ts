/** Measures JSON before it is parsed: many small values take much longer to parse than the size suggests, and deep ones exhaust the stack. */

/** Values, keys and brackets of one message or body. */
export const MAX_JSON_PARTS = 200_000;
/** Brackets within brackets. */
export const MAX_JSON_LEVELS = 1000;
/** A shorter text can be neither too deep nor have too many parts. */
export const MEASURED_ABOVE_CHARS = 2 * MAX_JSON_LEVELS;

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
/** `[` `{` */
const OPENING: ReadonlySet<number> = new Set([0x5b, 0x7b]);
/** `]` `}` */
const CLOSING: ReadonlySet<number> = new Set([0x5d, 0x7d]);
/** `,` `:` */
const BETWEEN: ReadonlySet<number> = new Set([0x2c, 0x3a]);

/** How many parts the JSON has, and how many levels. Counting stops beyond the limit of parts. */
export function measureJson(text: string): { parts: number; levels: number } {
  let parts = 0;
  let levels = 0;
  let open = 0;
  for (let at = 0; at < text.length && parts <= MAX_JSON_PARTS; at += 1) {
    const unit = text.charCodeAt(at);
    if (unit === QUOTE) at = endOfString(text, at);
    else if (OPENING.has(unit)) {
      parts += 1;
      open += 1;
      levels = Math.max(levels, open);
    } else if (CLOSING.has(unit)) open -= 1;
    else if (BETWEEN.has(unit)) parts += 1;
  }
  return { parts, levels };
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
