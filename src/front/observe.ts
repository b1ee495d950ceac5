/** Owns the records of each request: its id, its span and its metrics. */
import type { Next } from "hono";
import { routePath } from "hono/route";
import { edgeMetrics } from "../metrics.ts";
import { exportSpans, startSpan } from "../trace.ts";
import type { FrontContext } from "./context.ts";

/** An id that a caller chose. It ends up in logs and headers, so it has no other characters. */
const REQUEST_ID = /^[A-Za-z0-9._-]{8,128}$/;

/** The id of a request: the caller's `x-request-id`, or a new one. */
export function requestIdOf(request: Request): string {
  const given = request.headers.get("x-request-id") ?? "";
  return REQUEST_ID.test(given) ? given : crypto.randomUUID();
}

/** Answers the request, and notes how that went. Health checks and scrapes are no part of any trace. */
export async function observe(context: FrontContext, next: Next): Promise<void> {
  const settings = context.get("settings");
  const { method, path } = context.req;
  const isTraced = path.startsWith("/api/") || path.startsWith("/ws/");
  const given = context.req.header("traceparent");
  const span = isTraced ? startSpan(settings, method, "server", given) : null;
  context.set("traceparent", span?.traceparent);
  const startedMs = Date.now();
  await next();
  const route = routePath(context, -1);
  const { status } = context.res;
  edgeMetrics.requests.add({ method, route, status });
  edgeMetrics.requestSeconds.observe((Date.now() - startedMs) / 1000);
  if (span === null || settings.OTEL_EXPORTER_OTLP_ENDPOINT === undefined) return;
  const facts = { "http.request.method": method, "http.route": route, "http.response.status_code": status };
  span.end({ ...facts, "pyrepl.request_id": context.get("requestId") }, status >= 500);
  exportSpans(settings, (work) => context.executionCtx.waitUntil(work));
}
