import { readFileSync } from "node:fs";
import { expect, it } from "vitest";
import { EDGE_VARIABLES, pickEdgeVariables } from "../../src/local/edge-variables.ts";
import { RUNNER_VARIABLES } from "../../worker-runner/service/config.ts";

it("passes on every variable that the edge parses, and no other", () => {
  const source = readFileSync("src/env.ts", "utf8");
  const schema = source.slice(source.indexOf("const Variables"), source.indexOf("export type Settings"));
  const names = Array.from(schema.matchAll(/^ {2}([A-Z][A-Z_]+):/gm), ([, name]) => name);
  expect(names.length).toBeGreaterThan(10);
  expect([...EDGE_VARIABLES].sort()).toEqual(names.sort());
});

it("picks those that are set", () => {
  expect(pickEdgeVariables({ JWT_ISSUER: "me", JWT_AUDIENCE: "", HOME: "/" })).toEqual({ JWT_ISSUER: "me" });
});

it("shares with the runner only what means the same to both", () => {
  const shared = RUNNER_VARIABLES.filter((name) => (EDGE_VARIABLES as readonly string[]).includes(name));
  expect(shared.sort()).toEqual([
    "CHECKPOINT_MAX_BYTES",
    "MAX_CODE_BYTES",
    "MAX_QUEUED_EXECUTIONS",
    "METRICS_TOKEN",
    "OTEL_EXPORTER_OTLP_ENDPOINT",
    "OTEL_EXPORTER_OTLP_HEADERS",
    "RUNNER_TOKEN",
  ]);
});
