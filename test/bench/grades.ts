// Measures Landlock beside bubblewrap: a service of each kind, side by side, whose rounds alternate.
import { setTimeout as sleep } from "node:timers/promises";
import { testPython } from "../../scripts/python-tests.ts";
import { type Product, startProduct } from "../support/product.ts";
import { BenchClient } from "./bench-client.ts";
import { percentile } from "./measure.ts";
import type { Figure } from "./report.ts";

const ROUNDS = 20;
const RUNS_IN_A_ROUND = 10;
/** Long enough that the copy after an execution is off the path of the next one. */
const PAUSE_MS = 20;
/** Between two new clients, so that the pool is full again. */
const REFILL_MS = 400;

interface Samples {
  firstMs: number[];
  spacedMs: number[];
  closeMs: number[];
}

async function measureRound(product: Product, samples: Samples): Promise<void> {
  const startedAt = performance.now();
  const client = await BenchClient.open(product.socketUrl);
  await client.must("1");
  samples.firstMs.push(performance.now() - startedAt);
  for (let index = 0; index < RUNS_IN_A_ROUND; index += 1) {
    await sleep(PAUSE_MS);
    samples.spacedMs.push((await client.must("1")).milliseconds);
  }
  for (let index = 0; index < RUNS_IN_A_ROUND; index += 1) samples.closeMs.push((await client.must("1")).milliseconds);
  await client.close();
  await sleep(REFILL_MS);
}

export async function measureGrades(): Promise<Figure[]> {
  const settings = { PYTHON: testPython(), POOL_MIN_IDLE: "3", LOG_LEVEL: "error" };
  const kinds = ["bwrap", "landlock"] as const;
  const products: Product[] = [];
  const samples = kinds.map((): Samples => ({ firstMs: [], spacedMs: [], closeMs: [] }));
  try {
    for (const kind of kinds) products.push(await startProduct({ ...settings, SANDBOX: kind }));
    await sleep(2000);
    for (let round = 0; round < ROUNDS; round += 1) {
      for (const [at, product] of products.entries()) {
        const own = samples[at];
        if (own !== undefined) await measureRound(product, own);
      }
    }
  } finally {
    for (const product of products) await product.stop();
  }
  const [bwrap, landlock] = samples;
  if (bwrap === undefined || landlock === undefined) throw new Error("both kinds are measured");
  const figure = (what: string, taken: (from: Samples) => number[]): Figure => ({
    what: `by Landlock: ${what}, p50`,
    value: percentile(taken(landlock), 0.5),
    unit: "ms",
    baseline: { what: "bubblewrap", value: percentile(taken(bwrap), 0.5) },
    note: `p95 ${percentile(taken(landlock), 0.95).toFixed(1)} and ${percentile(taken(bwrap), 0.95).toFixed(1)} ms`,
  });
  return [
    figure("new client to first answer", (from) => from.firstMs),
    figure(`execution after a pause of ${PAUSE_MS} ms`, (from) => from.spacedMs),
    figure("execution right after another", (from) => from.closeMs),
  ];
}
