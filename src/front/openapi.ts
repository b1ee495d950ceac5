/** Owns the document at /openapi.json, which collects the declarations of all routes. */
import packageJson from "../../package.json" with { type: "json" };
import type { FrontApp } from "./route.ts";

const SCHEME = "token";

/** The description of every public call, OpenAPI 3.1. */
export function describeApi(app: FrontApp): ReturnType<FrontApp["getOpenAPI31Document"]> {
  return app.getOpenAPI31Document({
    openapi: "3.1.0",
    info: {
      title: "PyREPL3",
      version: packageJson.version,
      description:
        "Python sessions as a network service. Run code in your own Python process: stream its output, answer `input()`, interrupt it, roll back or checkpoint its state, disconnect, and pick up where you left off. The WebSocket at `/ws/v1/session` does all of it over one connection.",
      license: { name: "MIT", url: "https://spdx.org/licenses/MIT.html" },
    },
    servers: [{ url: "/" }],
    tags: [
      { name: "Executions", description: "Runs of code" },
      { name: "Sessions", description: "Python states of a client" },
      { name: "Checkpoints", description: "Saved states" },
      { name: "Files", description: "The workspace of a session" },
      { name: "WebSocket", description: "All of it over one connection" },
      { name: "Service", description: "The service itself" },
    ],
    // Needed if the edge is configured to authenticate; ignored otherwise.
    security: [{}, { [SCHEME]: [] }],
  });
}

/** Declares how callers authenticate; once for each app. */
export function declareSecurity(app: FrontApp): void {
  app.openAPIRegistry.registerComponent("securitySchemes", SCHEME, {
    type: "http",
    scheme: "bearer",
    bearerFormat: "JWT",
    description: "HS256 with a shared secret, or RS256, ES256 or EdDSA from a key set. The tenant is `sub`.",
  });
}
