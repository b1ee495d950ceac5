/** Owns `GET /metrics`: the edge's own counts, and what the Fleet knows of its runners, for Prometheus. It needs a secret. */
import { type FleetRunner, fleetStatus } from "../../fleet/fleet-calls.ts";
import { freePlaces, offers } from "../../fleet/placement.ts";
import { metricLines, renderMetrics } from "../../metrics.ts";
import { ProblemError } from "../../problem.ts";
import type { FrontApp } from "../route.ts";
import { hasBearer } from "../runner-token.ts";

/** `broken`: it cannot start the Python of its default environment. */
function stateOf(runner: FleetRunner): "ready" | "draining" | "broken" | "unreachable" {
  if (runner.isSuspect) return "unreachable";
  if (runner.draining) return "draining";
  return offers(runner, {}) ? "ready" : "broken";
}

function fleetLines(runners: readonly FleetRunner[]): string[] {
  const states = { ready: 0, draining: 0, broken: 0, unreachable: 0 };
  for (const runner of runners) states[stateOf(runner)] += 1;
  const sum = (count: (runner: FleetRunner) => number) => runners.reduce((total, runner) => total + count(runner), 0);
  const able = (runner: FleetRunner) => (stateOf(runner) === "ready" ? freePlaces(runner) : 0);
  return [
    ...metricLines(
      "pyrepl_fleet_runners",
      "gauge",
      "Runners that report, by state",
      Object.entries(states).map(([state, count]) => [{ state }, count]),
    ),
    ...metricLines("pyrepl_fleet_sessions", "gauge", "Sessions on all runners", [[{}, sum((one) => one.sessions)]]),
    ...metricLines("pyrepl_fleet_capacity", "gauge", "Sessions that all runners may hold", [
      [{}, sum((one) => one.capacity)],
    ]),
    ...metricLines("pyrepl_fleet_free_places", "gauge", "Sessions that can start now", [[{}, sum(able)]]),
  ];
}

/** Adds the call; it is not part of the public description. */
export function addMetricsRoute(app: FrontApp): void {
  app.get("/metrics", async (context) => {
    const { METRICS_TOKEN, RUNNER_TOKEN } = context.get("settings");
    const secrets = METRICS_TOKEN === undefined ? [RUNNER_TOKEN] : [METRICS_TOKEN, RUNNER_TOKEN];
    const checks = await Promise.all(secrets.map((secret) => hasBearer(context.req.raw, secret)));
    if (!checks.includes(true)) {
      throw new ProblemError({ code: "unauthorized", detail: "Metrics need METRICS_TOKEN as the bearer token." });
    }
    const text = renderMetrics(fleetLines(await fleetStatus(context.env)));
    return context.body(text, 200, { "content-type": "text/plain; version=0.0.4; charset=utf-8" });
  });
}
