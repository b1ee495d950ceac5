/** Owns which web pages may call the API: the edge's own, and those of ALLOWED_ORIGINS; it also speaks CORS for them. */
import { ProblemError } from "../problem.ts";

const ALLOWED_METHODS = "GET, POST, PUT, DELETE, OPTIONS";
const ALLOWED_HEADERS =
  "authorization, client-id, content-type, idempotency-key, if-match, if-none-match, if-range, last-event-id, range, traceparent";
const EXPOSED_HEADERS =
  "accept-ranges, client-id, content-disposition, content-range, etag, location, retry-after, x-request-id";
const LOOPBACK = /^(localhost|.*\.localhost|127(\.\d+){3}|\[::1\])$/;
const PREFLIGHT_MAX_AGE_SECONDS = "600";

/**
 * The origin of the calling page; null for a caller that is not a web page.
 *
 * @param allowed ALLOWED_ORIGINS, comma separated.
 * @param isLocal the edge serves this machine only, without tokens. A page that reached it under a foreign host name did so by
 *   DNS rebinding, so the page is foreign although its origin equals the edge's own.
 * @throws ProblemError `origin_not_allowed`.
 */
export function checkOrigin(
  request: Request,
  allowed: string,
  isLocal = false,
): { origin: string; isForeign: boolean } | null {
  const origin = request.headers.get("origin");
  const own = new URL(request.url);
  const origins = allowed.split(",").map((entry) => entry.trim().replace(/\/+$/, ""));
  // A server before the Worker may have made the URL from another header; the browser itself wrote `Host`.
  const hosts = [own.host, request.headers.get("host") ?? own.host];
  const isLedHere = isLocal && !hosts.every(isLoopback);
  if (origin === null) {
    // Browsers send no `Origin` header with a GET to the page's own origin.
    if (isLedHere && !origins.some((entry) => hosts.every((host) => hostOf(entry) === host))) {
      throw new ProblemError({
        code: "origin_not_allowed",
        detail: `This service answers as localhost; name the address in ALLOWED_ORIGINS to reach it as ${own.host}.`,
      });
    }
    return null;
  }
  if (origin === own.origin && !isLedHere) return { origin, isForeign: false };
  // A sandboxed page sends `null`. An empty entry of the list must not match an empty header.
  if (origin !== "null" && origin !== "" && origins.includes(origin)) return { origin, isForeign: true };
  throw new ProblemError({ code: "origin_not_allowed", detail: "Pages of this origin may not call this API." });
}

function isLoopback(host: string): boolean {
  return URL.canParse(`http://${host}`) && LOOPBACK.test(new URL(`http://${host}`).hostname);
}

function hostOf(origin: string): string | null {
  return URL.canParse(origin) ? new URL(origin).host : null;
}

/** The headers that let a page of an allowed foreign origin read the answer. */
export function corsHeaders(origin: string): Record<string, string> {
  return {
    "access-control-allow-origin": origin,
    "access-control-expose-headers": EXPOSED_HEADERS,
  };
}

/** The answer to a preflight from an allowed origin. */
export function preflightResponse(origin: string): Response {
  return new Response(null, {
    status: 204,
    headers: {
      ...corsHeaders(origin),
      "access-control-allow-methods": ALLOWED_METHODS,
      "access-control-allow-headers": ALLOWED_HEADERS,
      "access-control-max-age": PREFLIGHT_MAX_AGE_SECONDS,
      vary: "Origin, Access-Control-Request-Method, Access-Control-Request-Headers",
    },
  });
}
