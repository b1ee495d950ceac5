/** Owns the W3C trace context (https://www.w3.org/TR/trace-context/) as clients, edge and runner pass it on: one `traceparent`. */

/** Where in a trace something happens. */
export interface TraceContext {
  /** 32 hexadecimal digits. */
  traceId: string;
  /** 16 hexadecimal digits: the span that whatever follows belongs to. */
  spanId: string;
  isSampled: boolean;
}

/** No longer text is a traceparent. */
export const TRACEPARENT_MAX_CHARS = 256;

const TRACEPARENT = /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/;
const INVALID_VERSION = "ff";
const SAMPLED = 1;

/** Reads a `traceparent`. @returns null if it is none, or longer than a runner takes; the standard then asks for a new trace. */
export function parseTraceparent(text: string | null | undefined): TraceContext | null {
  if ((text?.length ?? 0) > TRACEPARENT_MAX_CHARS) return null;
  const [, version, traceId = "", spanId = "", flags = "", rest] = TRACEPARENT.exec(text ?? "") ?? [];
  if (version === undefined || version === INVALID_VERSION) return null;
  if (version === "00" && rest !== undefined) return null;
  if (/^0+$/.test(traceId) || /^0+$/.test(spanId)) return null;
  return { traceId, spanId, isSampled: (Number.parseInt(flags, 16) & SAMPLED) === SAMPLED };
}

/** Writes a `traceparent` of version 00. */
export function formatTraceparent({ traceId, spanId, isSampled }: TraceContext): string {
  return `00-${traceId}-${spanId}-${isSampled ? "01" : "00"}`;
}
