/** Owns the runner's HTTP routes (docs/link.md). `link-server.ts` has the links. */
import { existsSync } from "node:fs";
import { Readable } from "node:stream";
import { type Context, Hono } from "hono";
import type { RunnerCapabilities } from "../../src/protocol/capabilities.ts";
import { CheckpointId } from "../../src/protocol/identity.ts";
import { SessionKey } from "../../src/protocol/link.ts";
import { PROBLEMS } from "../../src/protocol/problem.ts";
import type { EnvironmentList } from "./environments.ts";
import { addFileRoutes } from "./files/file-routes.ts";
import { rangesOfPieces, readRanges } from "./hosted/piece-stream.ts";
import { BlobRefused } from "./hosted/receive-blob.ts";
import type { SessionRegistry } from "./hosted/session-registry.ts";
import type { Logger } from "./log.ts";
import type { Metrics } from "./metrics.ts";
import { problem } from "./problem.ts";
import { createTokenCheck } from "./runner-token.ts";

export interface AppOptions {
  token: string;
  /** The secret for /metrics; absent: it needs none. */
  metricsToken: string | undefined;
  registry: SessionRegistry;
  metrics: Metrics;
  /** Whether a new session would be accepted. */
  isReady: () => boolean;
  /** Whether the disk is too full to store anything new. */
  isDiskLow: () => boolean;
  /** Environments whose interpreters cannot be started, with the reason. */
  broken: () => ReadonlyMap<string, string>;
  capabilities: RunnerCapabilities;
  environments: EnvironmentList;
  checkpointMaxBytes: number;
  log: Logger;
}

const SHA256 = /^[0-9a-f]{64}$/;

/** The routes of the runner. */
export function createApp(options: AppOptions): Hono {
  const { registry, metrics, log } = options;
  const isAllowed = createTokenCheck(options.token);
  const { metricsToken } = options;
  const mayReadMetrics = metricsToken === undefined ? () => true : createTokenCheck(metricsToken);
  const app = new Hono();

  // The status stays 200 while the process lives: to restart it would end the sessions that it has.
  app.get("/health", (c) => c.json({ status: "ok", ...describeBroken(options.broken()) }));
  app.get("/ready", (c) => {
    if (options.isDiskLow()) return c.json({ status: "the disk is nearly full" }, PROBLEMS.storage_full.status);
    if (options.isReady()) return c.json({ status: "ready" });
    return c.json({ status: "not ready", ...describeBroken(options.broken()) }, 503);
  });
  app.get("/metrics", async (c) => {
    if (!mayReadMetrics(c.req.header("authorization"))) {
      return problem(c, "unauthorized", "Metrics need METRICS_TOKEN as the bearer token.");
    }
    return c.body(await metrics.render(), 200, { "content-type": metrics.contentType });
  });

  app.use("/v1/*", async (c, next) => {
    if (!isAllowed(c.req.header("authorization"))) return problem(c, "unauthorized", "The secret is missing or wrong.");
    return next();
  });
  app.get("/v1/capabilities", (c) => c.json(options.capabilities));
  app.get("/v1/environments", async (c) => c.json({ environments: await options.environments.describe() }));

  app.delete("/v1/sessions/:key", async (c) => {
    const key = SessionKey.safeParse(c.req.param("key"));
    const isRemoved = key.success && (await registry.remove(key.data));
    return isRemoved ? c.body(null, 204) : unknownSession(c);
  });

  app.get("/v1/sessions/:key/checkpoints/:id", async (c) => {
    const found = findBlob(c);
    if (found === undefined) return unknownBlob(c);
    const { blobPath, size, pieces, sha256 } = found.taken;
    const asked = c.req.query("pieces");
    const ranges = asked === undefined ? [{ start: 0, end: size }] : rangesOfPieces(pieces, asked);
    if (ranges === null) return problem(c, "invalid_request", "The blob has no such pieces.");
    // The session has just ended, and its files were removed.
    if (!existsSync(blobPath)) return unknownBlob(c);
    const length = ranges.reduce((sum, { start, end }) => sum + end - start, 0);
    metrics.blobBytes.inc(length);
    const body = Readable.toWeb(Readable.from(readRanges(blobPath, ranges))) as ReadableStream<Uint8Array>;
    return c.body(body, 200, {
      "content-type": "application/octet-stream",
      "content-length": String(length),
      ...(asked === undefined ? { "x-content-sha256": sha256 } : {}),
    });
  });

  app.delete("/v1/sessions/:key/checkpoints/:id", (c) => {
    const found = findBlob(c);
    if (found === undefined) return unknownBlob(c);
    found.hosted.blobs.forget(found.taken.checkpointId);
    return c.body(null, 204);
  });

  app.put("/v1/sessions/:key/checkpoints/:id", async (c) => {
    const hosted = findSession(c);
    if (hosted === undefined) return unknownSession(c);
    const id = CheckpointId.safeParse(c.req.param("id"));
    const sha256 = c.req.header("x-content-sha256")?.toLowerCase() ?? "";
    const body = c.req.raw.body;
    if (!id.success || !SHA256.test(sha256) || body === null) {
      return problem(c, "invalid_request", "A checkpoint id, x-content-sha256 and a body are required.");
    }
    try {
      await hosted.blobs.receive(id.data, body, sha256, options.checkpointMaxBytes);
    } catch (error) {
      if (!(error instanceof BlobRefused)) throw error;
      return error.code === "too_large"
        ? problem(c, "payload_too_large", "The blob is too large.")
        : problem(c, "invalid_request", "The blob does not match x-content-sha256.");
    }
    return c.body(null, 204);
  });

  addFileRoutes(app, { find: findSession, log });

  app.notFound((c) => problem(c, "not_found", "There is nothing here."));
  app.onError((error, c) => {
    log.error({ err: error, path: c.req.routePath, request_id: c.req.header("x-request-id") }, "a call failed");
    return problem(c, "internal", "The runner failed.");
  });
  return app;

  function findSession(c: Context) {
    const key = SessionKey.safeParse(c.req.param("key"));
    return key.success ? registry.find(key.data) : undefined;
  }

  function findBlob(c: Context) {
    const hosted = findSession(c);
    const id = CheckpointId.safeParse(c.req.param("id"));
    const taken = id.success ? hosted?.blobs.find(id.data) : undefined;
    return hosted === undefined || taken === undefined ? undefined : { hosted, taken };
  }
}

/** What /health and /ready say of environments that do not start. */
function describeBroken(broken: ReadonlyMap<string, string>): { broken_environments?: Record<string, string> } {
  return broken.size === 0 ? {} : { broken_environments: Object.fromEntries(broken) };
}

function unknownSession(c: Context): Response {
  return problem(c, "not_found", "The runner does not have this session.");
}

function unknownBlob(c: Context): Response {
  return problem(c, "not_found", "The runner does not have this blob.");
}
