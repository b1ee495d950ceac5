/** Owns the runner's spans: OpenTelemetry's packages, loaded only if a collector is configured. */
import type { Span } from "@opentelemetry/api";
import { parseTraceparent } from "../../src/protocol/trace.ts";
import type { RunnerConfig } from "./config.ts";
import type { Logger } from "./log.ts";

const SERVICE = "pyrepl3-runner";

export interface Tracing {
  /** Begins a span below the caller's. @returns null if `traceparent` names no trace, or the trace is not sampled. */
  startSpan(name: string, traceparent: string | undefined): Span | null;
  /** Sends what is left. */
  shutdown(): Promise<void>;
}

/** For a runner without a collector. */
export const NO_TRACING: Tracing = { startSpan: () => null, shutdown: () => Promise.resolve() };

/** Prepares tracing as the settings ask for it. */
export async function createTracing(config: RunnerConfig, log: Logger): Promise<Tracing> {
  const endpoint = config.OTEL_EXPORTER_OTLP_ENDPOINT;
  if (endpoint === undefined) return NO_TRACING;
  const [api, { OTLPTraceExporter }, { resourceFromAttributes }, { BatchSpanProcessor, TracerProvider }] =
    await Promise.all([
      import("@opentelemetry/api"),
      import("@opentelemetry/exporter-trace-otlp-http"),
      import("@opentelemetry/resources"),
      import("@opentelemetry/sdk-trace"),
    ]);
  const { trace, diag, ROOT_CONTEXT, SpanKind, TraceFlags } = api;
  const tell = (text: string) => log.warn({ why: text.slice(0, 300) }, "traces could not be sent");
  diag.setLogger({ error: tell, warn: tell, info: () => undefined, debug: () => undefined, verbose: () => undefined });
  const exporter = new OTLPTraceExporter({
    url: `${endpoint.replace(/\/+$/, "")}/v1/traces`,
    headers: config.OTEL_EXPORTER_OTLP_HEADERS,
  });
  const provider = new TracerProvider({
    resource: resourceFromAttributes({ "service.name": SERVICE, "service.instance.id": config.RUNNER_ID }),
    spanProcessors: [new BatchSpanProcessor({ exporter, scheduledDelayMillis: 1000 })],
  });
  const tracer = provider.getTracer("pyrepl3");
  return {
    startSpan(name, traceparent) {
      const above = parseTraceparent(traceparent);
      if (above === null || !above.isSampled) return null;
      const { traceId, spanId } = above;
      const parent = { traceId, spanId, traceFlags: TraceFlags.SAMPLED, isRemote: true };
      return tracer.startSpan(name, { kind: SpanKind.SERVER }, trace.setSpanContext(ROOT_CONTEXT, parent));
    },
    shutdown: () => provider.shutdown().catch((error: unknown) => tell(String(error))),
  };
}
