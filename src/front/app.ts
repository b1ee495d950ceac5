/** Owns the route table, and the steps that every request passes: request id, origin, caller, problems. */

import { settingsOf } from "../env.ts";
import { logLine } from "../log.ts";
import { ProblemError } from "../problem.ts";
import { asksForToken, authenticate } from "./auth.ts";
import type { FrontContext } from "./context.ts";
import { observe, requestIdOf } from "./observe.ts";
import { declareSecurity } from "./openapi.ts";
import { checkOrigin, corsHeaders, preflightResponse } from "./origin.ts";
import { problemResponse } from "./problem-response.ts";
import { type FrontApp, newFrontApp } from "./route.ts";
import { addBranchRoutes } from "./routes/branches.ts";
import { addCheckpointRoutes } from "./routes/checkpoints.ts";
import { addExecutionRoutes } from "./routes/executions.ts";
import { addFileContentRoutes } from "./routes/file-content.ts";
import { addFileTreeRoutes } from "./routes/file-tree.ts";
import { addFileRoutes } from "./routes/files.ts";
import { addInternalRoutes } from "./routes/internal.ts";
import { addMetricsRoute } from "./routes/metrics.ts";
import { addPackageRoutes } from "./routes/packages.ts";
import { addPageRoutes } from "./routes/pages.ts";
import { addServiceRoutes } from "./routes/service.ts";
import { addSessionResourceRoutes } from "./routes/session-resources.ts";
import { addSessionRoutes } from "./routes/sessions.ts";
import { addSocketRoute } from "./routes/socket.ts";
import { addToolRoutes } from "./routes/tools.ts";

/** Paths that web pages of other origins may reach, and that need a caller. */
const API_PATHS = ["/api/*", "/ws/*"];

/** Methods of calls that change nothing. */
const READING_METHODS = ["GET", "HEAD"];

/** Headers of every answer that does not set its own. */
const SAFE_HEADERS: Record<string, string> = {
  "x-content-type-options": "nosniff",
  "referrer-policy": "no-referrer",
  "cross-origin-resource-policy": "same-origin",
  "cache-control": "no-store",
  "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
};

function answerError(error: unknown, context: FrontContext): Response {
  const requestId = context.get("requestId");
  if (error instanceof ProblemError) return problemResponse(error.init, requestId, error.headers);
  // The log gets the whole error; the caller gets the request's id.
  logLine("error", "a request failed", { requestId, method: context.req.method, error });
  return problemResponse(
    { code: "internal", detail: "An unexpected error occurred. Include the request id when you report it." },
    requestId,
  );
}

/** The methods that other routes have at this path. */
function methodsAt(app: FrontApp, path: string): string[] {
  const fits = (pattern: string) =>
    new RegExp(`^${pattern.replace(/[.]/g, "\\.").replace(/:[a-z_]+/g, "[^/]+")}$`).test(path);
  const methods = app.routes.filter((route) => route.method !== "ALL" && fits(route.path)).map((route) => route.method);
  return [...new Set(methods)].sort();
}

function answerUnknown(app: FrontApp, context: FrontContext): Response {
  const allowed = methodsAt(app, context.req.path);
  const requestId = context.get("requestId");
  if (allowed.length === 0) {
    return problemResponse({ code: "not_found", detail: "There is nothing at this path." }, requestId);
  }
  const detail = `This path has ${allowed.join(" and ")} only.`;
  return problemResponse({ code: "not_found", detail }, requestId, { allow: allowed.join(", ") });
}

/** The front: every path that a client, a browser or a runner can call. */
export function buildApp(): FrontApp {
  const app = newFrontApp();
  app.use(async (context, next) => {
    context.set("requestId", requestIdOf(context.req.raw));
    context.set("settings", settingsOf(context.env));
    await observe(context, next);
    // An upgrade answer carries a socket, which a copy with other headers would lose.
    if (context.res.status === 101) return;
    context.header("x-request-id", context.get("requestId"));
    for (const [name, value] of Object.entries(SAFE_HEADERS)) {
      if (!context.res.headers.has(name)) context.header(name, value);
    }
  });
  for (const path of API_PATHS) {
    app.use(path, async (context, next) => {
      const settings = context.get("settings");
      const page = checkOrigin(context.req.raw, settings.ALLOWED_ORIGINS, settings.LOCAL && !asksForToken(settings));
      if (page !== null && context.req.method === "OPTIONS") {
        context.res = preflightResponse(page.origin);
        return;
      }
      await next();
      if (context.res.status === 101) return;
      context.header("vary", "Origin", { append: true });
      if (page === null || !page.isForeign) return;
      for (const [name, value] of Object.entries(corsHeaders(page.origin))) context.header(name, value);
      context.header("cross-origin-resource-policy", "cross-origin");
    });
    app.use(path, async (context, next) => {
      const { tenant, grant } = await authenticate(context.req.raw, context.get("settings"));
      context.set("tenant", tenant);
      context.set("grant", grant);
      if (grant.isReadOnly && !READING_METHODS.includes(context.req.method)) {
        throw new ProblemError({ code: "forbidden", detail: "The token allows only calls that change nothing." });
      }
      await next();
    });
  }
  declareSecurity(app);
  addExecutionRoutes(app);
  addSessionRoutes(app);
  addCheckpointRoutes(app);
  addBranchRoutes(app);
  addFileRoutes(app);
  addFileContentRoutes(app);
  addFileTreeRoutes(app);
  addPackageRoutes(app);
  addToolRoutes(app);
  addSessionResourceRoutes(app);
  addSocketRoute(app);
  addServiceRoutes(app);
  addInternalRoutes(app);
  addMetricsRoute(app);
  addPageRoutes(app);
  app.onError((error, context) => answerError(error, context));
  app.notFound((context) => answerUnknown(app, context));
  return app;
}
