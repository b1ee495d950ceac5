/** Owns reading a frame's type and id without parsing it, so that a frame beyond the limits is refused at little cost. */
import { countJsonParts, MAX_JSON_PARTS } from "../json-parts.ts";
import { MessageId } from "../protocol/identity.ts";

/** The parts of a shorter text are not counted: they are too few. */
const COUNTED_ABOVE_CHARS = 64 * 1024;
/** Where an id is looked for. */
const HEAD_CHARS = 512;

/** Whether JSON has too many parts, so that parsing it would keep others waiting. */
export function hasTooManyParts(text: string): boolean {
  return text.length >= COUNTED_ABOVE_CHARS && countJsonParts(text) > MAX_JSON_PARTS;
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
