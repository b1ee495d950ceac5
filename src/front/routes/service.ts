/** Owns the calls about the service itself: whether it is alive, whether it is ready, and the capabilities of its runners. */
import { z } from "@hono/zod-openapi";
import packageJson from "../../../package.json" with { type: "json" };
import { ProblemError } from "../../problem.ts";
import { Capabilities } from "../../protocol/capabilities.ts";
import { TransactionPolicy } from "../../protocol/client-message.ts";
import { addRoute, ClientHeader, COMMON_PROBLEMS, type FrontApp, jsonAnswer, problems } from "../route.ts";
import { readiness, runnerCapabilities } from "../runner-info.ts";
import { CAPABILITIES } from "./examples.ts";

const tags = ["Service"];
export const EDGE_VERSION: string = packageJson.version;

const Health = z.object({ status: z.literal("ok"), version: z.string() });
const Ready = z.object({ status: z.literal("ready") });

function noRunner(detail = "No runner can take a session now."): ProblemError {
  return new ProblemError({ code: "no_runner", detail, retryAfter: 2 });
}

/** Adds the calls to the app. */
export function addServiceRoutes(app: FrontApp): void {
  addRoute(
    app,
    {
      method: "get",
      path: "/health",
      operationId: "health",
      summary: "The edge answers",
      tags,
      security: [],
      responses: { 200: jsonAnswer("Alive", Health, { status: "ok", version: EDGE_VERSION }) },
    },
    (context) => context.json({ status: "ok", version: EDGE_VERSION }),
  );
  addRoute(
    app,
    {
      method: "get",
      path: "/ready",
      operationId: "ready",
      summary: "A runner can take a session",
      tags,
      security: [],
      responses: { 200: jsonAnswer("Ready", Ready, { status: "ready" }), ...problems("no_runner", "storage_full") },
    },
    async (context) => {
      const answer = await readiness(context.env);
      if (answer === "disk_full") {
        throw new ProblemError({ code: "storage_full", detail: "The disk is nearly full, so nothing new is stored." });
      }
      if (answer === "broken") throw noRunner("No runner can start Python now. The runners' logs say why.");
      if (answer !== "ready") throw noRunner();
      return context.json({ status: "ready" });
    },
  );
  addRoute(
    app,
    {
      method: "get",
      path: "/api/v1/capabilities",
      operationId: "capabilities",
      summary: "What the interpreters are, and which limits are enforced",
      tags,
      request: { headers: ClientHeader },
      responses: {
        200: jsonAnswer("The capabilities", Capabilities, CAPABILITIES),
        ...problems(...COMMON_PROBLEMS, "runner_error", "no_runner"),
      },
    },
    async (context) => {
      const capabilities = await runnerCapabilities(context.env);
      if (capabilities === null) throw noRunner();
      return context.json({
        ...capabilities,
        protocol: "v1",
        edge_version: EDGE_VERSION,
        transaction_policies: TransactionPolicy.options,
      });
    },
  );
}
