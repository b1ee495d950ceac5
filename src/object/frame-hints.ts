/** Owns what is known of a client's frame before it is parsed: parsing costs time, and is for frames that are within the limits. */
import { MessageId } from "../protocol/identity.ts";

/** Values, keys and brackets of one message. */
const MAX_PARTS = 200_000;
/** The parts of a shorter text are not counted: they are too few. */
const COUNTED_ABOVE_CHARS = 64 * 1024;
/** Where an id is looked for. */
const HEAD_CHARS = 512;

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
/** `,` `:` `[` `{` */
const PARTS: ReadonlySet<number> = new Set([0x2c, 0x3a, 0x5b, 0x7b]);

/** Whether JSON has more than `MAX_PARTS` parts, so that parsing it would keep others waiting. */
export function hasTooManyParts(text: string): boolean {
  if (text.length < COUNTED_ABOVE_CHARS) return false;
  let parts = 0;
  for (let at = 0; at < text.length; at += 1) {
    const unit = text.charCodeAt(at);
    if (unit === QUOTE) at = endOfString(text, at);
    else if (PARTS.has(unit)) parts += 1;
    if (parts > MAX_PARTS) return true;
  }
  return false;
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

/** The id of a message that is refused unparsed, if it stands at the message's beginning. */
export function idAtBeginning(text: string): MessageId | undefined {
  const head = text.slice(0, HEAD_CHARS);
  const found = /^\s*\{[^{[]*?"id"\s*:\s*("(?:[^"\\]|\\.)*")/.exec(head)?.[1];
  if (found === undefined) return undefined;
  try {
    return MessageId.safeParse(JSON.parse(found)).data;
  } catch {
    return undefined;
  }
}
