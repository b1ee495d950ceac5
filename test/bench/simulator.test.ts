/** The simulated fleet at a small size: even load, and few sessions that move when runners leave. */
import { expect, it } from "vitest";
import { drawLoads, drawMoments } from "./simulator/draw.ts";
import { Simulation } from "./simulator/simulate.ts";

it("keeps the load even and moves only sessions of runners that left", () => {
  const runners = 60;
  const simulation = new Simulation({ runners, sessionsPerRunner: 100, shards: 2 });
  simulation.place(runners * 100);
  const loads = simulation.runners.map((runner) => runner.sessions);
  expect(loads.reduce((sum, load) => sum + load, 0)).toBe(runners * 100);
  simulation.remove(runners, "one fails");
  simulation.remove(10, "a tenth fails");
  simulation.join(6);
  simulation.place(600);
  const [placed, one, tenth, joined] = simulation.moments;
  expect(placed?.maxByMean).toBeLessThanOrEqual(1.15);
  expect(one?.moved).toBeLessThanOrEqual(1.2 / runners);
  expect(one?.maxByMean).toBeLessThanOrEqual(1.15);
  expect(tenth?.moved).toBeLessThanOrEqual(0.12);
  expect(tenth?.maxByMean).toBeLessThanOrEqual(1.15);
  expect(joined?.moved).toBe(0);
  expect(simulation.runners.reduce((sum, runner) => sum + runner.sessions, 0)).toBe(runners * 100 + 600);
});

it("draws the same plots for the same numbers", () => {
  const moments = [{ event: "start", runners: 2, sessions: 4, maxByMean: 1.1, moved: 0.5 }];
  expect(drawMoments(moments)).toBe(drawMoments(structuredClone(moments)));
  expect(drawMoments(moments)).toContain("50.00 % moved");
  expect(drawLoads([1, 2, 2], 1.7).match(/<rect/g)).toHaveLength(2);
});
