/** Owns reading a frame's type and id without parsing it, so that a frame beyond the limits is refused at little cost. */
import { MAX_JSON_LEVELS, MAX_JSON_PARTS, MEASURED_ABOVE_CHARS, measureJson } from "../json-parts.ts";
import type { ProblemInit } from "../problem.ts";
import { MessageId } from "../protocol/identity.ts";

/** Where an id is looked for. */
const HEAD_CHARS = 512;

/** Refuses JSON that would keep others waiting while it is parsed, or exhaust the stack. Null if it may be parsed. */
export function refusalOf(text: string): ProblemInit | null {
  if (text.length < MEASURED_ABOVE_CHARS) return null;
  const { parts, levels } = measureJson(text);
  if (parts > MAX_JSON_PARTS) {
    return { code: "payload_too_large", detail: `The message has more than ${MAX_JSON_PARTS} values.` };
  }
  if (levels <= MAX_JSON_LEVELS) return null;
  return { code: "invalid_request", detail: `The message has more than ${MAX_JSON_LEVELS} levels.` };
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
