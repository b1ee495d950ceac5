// `npm run bench`: figures of the whole service beside bare counterparts in the same run. `--json` prints JSON;
// `--compare FILE` says what got worse since a run that was saved as JSON; names (costs, latency, output, sessions, checkpoints, endings,
// sizes, replay, floods, house, clients, neighbours, tools, grades, overload, crowds) choose what to measure.
import { readFileSync } from "node:fs";
import { availableParallelism, loadavg } from "node:os";
import { parseArgs } from "node:util";
import { testPython } from "../../scripts/python-tests.ts";
import { type Product, startProduct } from "../support/product.ts";
import { type Baselines, startBaselines } from "./baselines.ts";
import { measureCheckpoints } from "./checkpoints.ts";
import { measureClients } from "./clients.ts";
import { whatGotWorse } from "./compare.ts";
import { measureCosts } from "./costs.ts";
import { measureCrowds } from "./crowds.ts";
import { measureEndings } from "./endings.ts";
import { measureFloods } from "./floods.ts";
import { measureFullHouse } from "./full-house.ts";
import { measureGrades } from "./grades.ts";
import { measureLatency } from "./latency.ts";
import { measureNeighbours } from "./neighbours.ts";
import { measureOutput } from "./output.ts";
import { measureOverload } from "./overload.ts";
import { measureReplay } from "./replay.ts";
import { type Figure, type Judged, judge, renderTable } from "./report.ts";
import { measureSessions } from "./sessions.ts";
import { measureSizes } from "./sizes.ts";
import { measureTools } from "./tools.ts";

const parts: Record<string, (product: Product, baselines: Baselines) => Promise<Figure[]>> = {
  costs: measureCosts,
  latency: measureLatency,
  output: measureOutput,
  sessions: measureSessions,
  checkpoints: measureCheckpoints,
  endings: measureEndings,
  sizes: measureSizes,
  replay: measureReplay,
  floods: measureFloods,
  house: measureFullHouse,
  clients: measureClients,
  neighbours: measureNeighbours,
  tools: measureTools,
  overload: measureOverload,
  grades: measureGrades,
  crowds: measureCrowds,
};
/** Takes five minutes, so it is measured only where it is named. */
const ONLY_BY_NAME = "crowds";

const { values, positionals } = parseArgs({
  options: { json: { type: "boolean" }, compare: { type: "string" } },
  allowPositionals: true,
});
const unknown = positionals.filter((name) => !(name in parts));
if (unknown.length > 0) {
  console.error(`unknown: ${unknown.join(", ")}; there are ${Object.keys(parts).join(", ")}`);
  process.exit(2);
}
const cores = availableParallelism();
const [loadAtStart = 0] = loadavg();
if (loadAtStart > cores / 2) {
  console.error(
    `The machine is busy (load ${loadAtStart.toFixed(1)} on ${cores} cores): trust no figure but processor time.`,
  );
}
const figures: Judged[] = [];
const failures: string[] = [];

async function measureAll(product: Product, baselines: Baselines): Promise<void> {
  for (const [name, measure] of Object.entries(parts)) {
    if (positionals.length > 0 ? !positionals.includes(name) : name === ONLY_BY_NAME) continue;
    const startedAt = performance.now();
    try {
      figures.push(...(await measure(product, baselines)).map(judge));
    } catch (error) {
      failures.push(`${name}: ${error instanceof Error ? error.message : error}`);
    }
    console.error(`${name}: ${((performance.now() - startedAt) / 1000).toFixed(1)} s`);
  }
}

const baselines = await startBaselines();
try {
  const product = await startProduct({ PYTHON: testPython(), POOL_MIN_IDLE: "5", LOG_LEVEL: "warn" });
  try {
    await measureAll(product, baselines);
  } finally {
    await product.stop();
  }
} finally {
  await baselines.close();
}

console.log(
  values.json ? JSON.stringify({ machine: { cores, loadAtStart }, figures, failures }, null, 2) : renderTable(figures),
);
if (values.compare !== undefined) {
  const worse = whatGotWorse(readFileSync(values.compare, "utf8"), figures);
  console.error(worse.length === 0 ? `nothing got worse since ${values.compare}` : worse.join("\n"));
}
for (const failure of failures) console.error(`not measured: ${failure}`);
process.exitCode = failures.length === 0 ? 0 : 1;
