/** Owns the pages that the edge serves: the console, the API documentation, and their files. Each has a strict content security policy. */

import pages from "../../console/dist/pages.json" with { type: "json" };
import { ProblemError } from "../../problem.ts";
import type { FrontContext } from "../context.ts";
import { describeApi } from "../openapi.ts";
import type { FrontApp } from "../route.ts";

type PageName = keyof typeof pages;

/** Sources that a page may load from: itself, and nothing else. */
const COMMON_POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "img-src 'self' data: blob:",
  "font-src 'self' data:",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
];

const NONCE_MARK = "{{nonce}}";

function bytesOf(name: PageName): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(atob(pages[name].gzipBase64), (character) => character.charCodeAt(0));
}

function gunzip(bytes: Uint8Array<ArrayBuffer>): ReadableStream<Uint8Array> {
  return new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
}

/** A page's text with its nonce, so that the editor may add its style sheet and nobody else can. */
async function htmlAnswer(name: PageName, policy: string[]): Promise<Response> {
  const nonce = crypto.randomUUID();
  const html = (await new Response(gunzip(bytesOf(name))).text()).replaceAll(NONCE_MARK, nonce);
  return new Response(html, {
    headers: {
      "content-type": pages[name].type,
      "cache-control": "no-cache",
      "content-security-policy": [...COMMON_POLICY, ...policy].join("; ").replaceAll(NONCE_MARK, nonce),
    },
  });
}

/** A file that pages load. Compressing it on the way is the platform's business. */
function fileAnswer(context: FrontContext, name: PageName): Response {
  const { type, etag } = pages[name];
  const headers = new Headers({ "content-type": type, "cache-control": "public, max-age=300", etag: `"${etag}"` });
  if (context.req.header("if-none-match") === `"${etag}"`) return new Response(null, { status: 304, headers });
  return new Response(gunzip(bytesOf(name)), { headers });
}

/** The console's connections: this edge alone, spelled out because older browsers do not take 'self' for WebSockets. */
function connectSources(request: Request): string {
  const { host, protocol } = new URL(request.url);
  return `connect-src 'self' ${protocol === "https:" ? "wss" : "ws"}://${host}`;
}

/** Adds the pages to the app. */
export function addPageRoutes(app: FrontApp): void {
  let description: ReturnType<typeof describeApi> | undefined;
  app.get("/", (context) =>
    htmlAnswer("console.html", [connectSources(context.req.raw), `style-src 'self' 'nonce-${NONCE_MARK}'`]),
  );
  // Swagger UI writes style attributes, which no nonce covers.
  app.get("/docs", () => htmlAnswer("docs.html", ["connect-src 'self'", "style-src 'self' 'unsafe-inline'"]));
  app.get("/assets/:name", (context) => {
    const name = context.req.param("name");
    if (!Object.hasOwn(pages, name) || name.endsWith(".html")) {
      throw new ProblemError({ code: "not_found", detail: "There is no such file." });
    }
    return fileAnswer(context, name as PageName);
  });
  app.get("/favicon.ico", (context) => context.redirect("/assets/icon.svg"));
  app.get("/openapi.json", (context) => {
    description ??= describeApi(app);
    return context.json(description, 200, { "cache-control": "no-cache" });
  });
}
