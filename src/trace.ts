/** Owns the edge's spans and their export as OTLP over HTTP in JSON. It is small, because the Worker has to be. */
import type { Settings } from "./env.ts";
import { logLine } from "./log.ts";
import { formatTraceparent, parseTraceparent } from "./protocol/trace.ts";

const SERVICE = "pyrepl3-edge";
/** Spans of several requests travel together if they end within this time. */
const GATHER_MS = 200;
const EXPORT_DEADLINE_MS = 5000;
/** More spans than that are dropped while the collector does not answer. */
const MAX_PENDING = 2000;
const KINDS = { internal: 1, server: 2, client: 3 } as const;
const STATUS_ERROR = 2;

type Attributes = Record<string, string | number | boolean>;

/** One step of a request. */
export interface Span {
  /** What follows names this as its parent. undefined: there is no trace. */
  readonly traceparent: string | undefined;
  /** Ends the span; a second call does nothing. */
  end(attributes?: Attributes, isError?: boolean): void;
}

interface FinishedSpan {
  traceId: string;
  spanId: string;
  parentSpanId?: string;
  name: string;
  kind: number;
  startTimeUnixNano: string;
  endTimeUnixNano: string;
  attributes: { key: string; value: object }[];
  status?: { code: number };
}

let pending: FinishedSpan[] = [];
let isGathering = false;

function newId(bytes: number): string {
  return Array.from(crypto.getRandomValues(new Uint8Array(bytes)), (byte) => byte.toString(16).padStart(2, "0")).join(
    "",
  );
}

function otlpValue(value: string | number | boolean): object {
  if (typeof value === "string") return { stringValue: value };
  if (typeof value === "boolean") return { boolValue: value };
  return Number.isInteger(value) ? { intValue: String(value) } : { doubleValue: value };
}

const nano = (ms: number) => `${Math.round(ms)}000000`;

/**
 * Begins a span.
 *
 * @param parent the `traceparent` of the caller. Without one a new trace begins, if it is drawn for the sample.
 */
export function startSpan(
  settings: Settings,
  name: string,
  kind: keyof typeof KINDS,
  parent: string | undefined,
): Span {
  const above = parseTraceparent(parent);
  if (settings.OTEL_EXPORTER_OTLP_ENDPOINT === undefined) {
    return { traceparent: above === null ? undefined : parent, end: () => undefined };
  }
  const traceId = above?.traceId ?? newId(16);
  const isSampled = above?.isSampled ?? Math.random() < settings.OTEL_TRACES_SAMPLER_ARG;
  const spanId = newId(8);
  const startedMs = Date.now();
  let isOver = false;
  return {
    traceparent: formatTraceparent({ traceId, spanId, isSampled }),
    end(attributes = {}, isError = false) {
      if (isOver || !isSampled) return;
      isOver = true;
      if (pending.length >= MAX_PENDING) return;
      pending.push({
        traceId,
        spanId,
        ...(above === null ? {} : { parentSpanId: above.spanId }),
        name,
        kind: KINDS[kind],
        startTimeUnixNano: nano(startedMs),
        endTimeUnixNano: nano(Date.now()),
        attributes: Object.entries(attributes).map(([key, value]) => ({ key, value: otlpValue(value) })),
        ...(isError ? { status: { code: STATUS_ERROR } } : {}),
      });
    },
  };
}

/** Sends what has ended, a moment later. Call it after `end`; `waitUntil` keeps the request alive for as long. */
export function exportSpans(settings: Settings, waitUntil: (work: Promise<unknown>) => void): void {
  if (isGathering || pending.length === 0) return;
  isGathering = true;
  const gathered = new Promise((resolve) => setTimeout(resolve, GATHER_MS));
  waitUntil(
    gathered
      .finally(() => {
        isGathering = false;
      })
      .then(() => sendPending(settings)),
  );
}

async function sendPending(settings: Settings): Promise<void> {
  const { OTEL_EXPORTER_OTLP_ENDPOINT: endpoint, OTEL_EXPORTER_OTLP_HEADERS: headers } = settings;
  if (endpoint === undefined) return;
  const spans = pending;
  pending = [];
  const resource = { attributes: [{ key: "service.name", value: { stringValue: SERVICE } }] };
  const body = { resourceSpans: [{ resource, scopeSpans: [{ scope: { name: "pyrepl3" }, spans }] }] };
  try {
    const answer = await fetch(`${endpoint.replace(/\/+$/, "")}/v1/traces`, {
      method: "POST",
      headers: { "content-type": "application/json", ...headers },
      body: JSON.stringify(body),
      signal: AbortSignal.timeout(EXPORT_DEADLINE_MS),
    });
    await answer.body?.cancel();
    if (!answer.ok) logLine("warn", `the trace collector answered ${answer.status}; ${spans.length} spans are lost`);
  } catch (error) {
    logLine("warn", `the trace collector cannot be reached; ${spans.length} spans are lost`, { error });
  }
}
