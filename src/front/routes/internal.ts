/** Owns the calls that runners make on the edge: heartbeat and ring. Both need the shared secret. */

import { recordHeartbeat } from "../../fleet/fleet-calls.ts";
import { ProblemError } from "../../problem.ts";
import { Heartbeat, Ring } from "../../protocol/link.ts";
import type { SessionCalls } from "../../session-calls.ts";
import { readBody } from "../request-body.ts";
import type { FrontApp } from "../route.ts";
import { hasBearer } from "../runner-token.ts";

const MAX_BODY_BYTES = 64 * 1024;

/** Adds the calls to the app; they are not part of the public description. */
export function addInternalRoutes(app: FrontApp): void {
  app.use("/internal/*", async (context, next) => {
    if (!(await hasBearer(context.req.raw, context.get("settings").RUNNER_TOKEN))) {
      throw new ProblemError({ code: "unauthorized", detail: "Only runners may make this call." });
    }
    await next();
  });
  app.post("/internal/v1/heartbeat", async (context) => {
    const report = await readBody(context.req.raw, Heartbeat, MAX_BODY_BYTES);
    if (!(await recordHeartbeat(context.env, report))) {
      throw new ProblemError({
        code: "no_runner",
        detail: "The registry is full. Raise FLEET_SHARDS, or stop runners that are not needed.",
      });
    }
    return context.body(null, 204);
  });
  app.post("/internal/v1/ring", async (context) => {
    const ring = await readBody(context.req.raw, Ring, MAX_BODY_BYTES);
    let id: DurableObjectId;
    try {
      id = context.env.CLIENT_SESSIONS.idFromString(ring.object);
    } catch {
      throw new ProblemError({ code: "not_found", detail: "There is no such object." });
    }
    const session = context.env.CLIENT_SESSIONS.get(id) as unknown as SessionCalls;
    const outcome = await session.ring(ring.session, ring.key);
    // The runner ends a session that nobody will come back to.
    return context.body(null, outcome === "unknown" ? 410 : 204);
  });
}
