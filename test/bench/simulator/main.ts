// Simulates a fleet and draws docs/plots: `npx node test/bench/simulator/main.ts [runners] [sessions per runner] [shards]`.
import { writeFileSync } from "node:fs";
import { drawLoads, drawMoments } from "./draw.ts";
import { Simulation } from "./simulate.ts";

const [runners = 10_000, sessionsPerRunner = 100, shards = 64] = process.argv.slice(2).map(Number);
const simulation = new Simulation({ runners, sessionsPerRunner, shards });
simulation.place(runners * sessionsPerRunner);
const loads = simulation.runners.map((runner) => runner.sessions);
writeFileSync("docs/plots/loads.svg", drawLoads(loads, sessionsPerRunner));
simulation.remove(runners, "one runner fails");
simulation.remove(100, "1 % of the runners fail");
simulation.join(Math.ceil(runners / 100));
simulation.place(Math.ceil((runners * sessionsPerRunner) / 100));
writeFileSync("docs/plots/events.svg", drawMoments(simulation.moments));
console.table(simulation.moments);
