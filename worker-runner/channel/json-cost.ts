/** Owns the limits on the cost of parsing a message from a sandbox: the number of its parts and their depth. */
import { ChannelViolation } from "./framing.ts";

/** Values, keys and brackets. Python sends at most some hundred thousand. Ten million empty objects would block every session. */
const MAX_PARTS = 400_000;
/** Python's values are at most 100 deep. Much deeper ones would exhaust the stack of a recursive function. */
const MAX_DEPTH = 200;

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COMMA = 0x2c;
const COLON = 0x3a;
const OPEN_BRACKET = 0x5b;
const CLOSE_BRACKET = 0x5d;
const OPEN_BRACE = 0x7b;
const CLOSE_BRACE = 0x7d;

/**
 * Checks JSON without parsing it. Invalid JSON passes, because the parser reports it.
 *
 * @throws ChannelViolation if it has too many parts or is nested too deeply.
 */
export function assertCheapJson(payload: Uint8Array, maxParts: number = MAX_PARTS): void {
  let parts = 0;
  let depth = 0;
  for (let at = 0; at < payload.length; at += 1) {
    switch (payload[at]) {
      case QUOTE:
        at = endOfString(payload, at);
        break;
      case COMMA:
      case COLON:
        parts += 1;
        break;
      case OPEN_BRACKET:
      case OPEN_BRACE:
        parts += 1;
        depth += 1;
        if (depth > MAX_DEPTH) throw new ChannelViolation("a message is nested too deep");
        break;
      case CLOSE_BRACKET:
      case CLOSE_BRACE:
        depth -= 1;
        break;
    }
    if (parts > maxParts) throw new ChannelViolation("a message has too many parts");
  }
}

function endOfString(payload: Uint8Array, start: number): number {
  let at = start + 1;
  while (at < payload.length && payload[at] !== QUOTE) at += payload[at] === BACKSLASH ? 2 : 1;
  return at;
}
