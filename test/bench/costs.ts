// Measures what an execution and a new session cost in each process: page faults, reads and writes, processor time.
import { setTimeout as sleep } from "node:timers/promises";
import { type Counters, costEach, type Part, readCounters } from "../support/counters.ts";
import type { Product } from "../support/product.ts";
import type { Baselines } from "./baselines.ts";
import { BenchClient } from "./bench-client.ts";
import { percentile } from "./measure.ts";
import type { Figure } from "./report.ts";
import { countSystemCalls } from "./system-calls.ts";

/** Pauses between two executions in milliseconds, and how many executions are counted. */
const RHYTHMS = [
  [0, 500],
  [5, 200],
  [50, 40],
] as const;
const NEW_SESSIONS = 10;
/** Executions while system calls are traced, which slows each of them down. */
const TRACED = 100;
const BURST = 30;
const FRESH_BYTES = 256 * 1024 * 1024;
const PAGE_BYTES = 4096;

/** Microseconds that touching a fresh page costs here: it depends on the machine, and most other figures depend on it. */
function pageFaultMicroseconds(): number {
  const fresh = Buffer.allocUnsafeSlow(FRESH_BYTES);
  const startedAt = performance.now();
  for (let at = 0; at < FRESH_BYTES; at += PAGE_BYTES) fresh[at] = 1;
  return ((performance.now() - startedAt) * 1000) / (FRESH_BYTES / PAGE_BYTES);
}

function costFigures(what: string, before: Counters, after: Counters, count: number): Figure[] {
  const cost = costEach(before, after, count);
  const sum = (of: "faults" | "readsAndWrites" | "cpuMs") => cost.edge[of] + cost.runner[of] + cost.interpreter[of];
  const note = (of: "faults" | "readsAndWrites" | "cpuMs") =>
    (["edge", "runner", "interpreter"] satisfies Part[])
      .map((part) => `${part} ${cost[part][of].toFixed(1)}`)
      .join(", ");
  return [
    { what: `${what}, page faults`, value: sum("faults"), unit: "faults", note: note("faults") },
    { what: `${what}, reads and writes`, value: sum("readsAndWrites"), unit: "calls", note: note("readsAndWrites") },
    { what: `${what}, processor time`, value: sum("cpuMs"), unit: "ms", note: note("cpuMs") },
  ];
}

async function executionCosts(product: Product): Promise<Figure[]> {
  const client = await BenchClient.open(product.socketUrl);
  for (let n = 0; n < 100; n += 1) await client.must("1");
  const figures: Figure[] = [];
  for (const [pauseMs, count] of RHYTHMS) {
    await sleep(200);
    const before = readCounters(product.pid);
    const waits: number[] = [];
    for (let n = 0; n < count; n += 1) {
      waits.push((await client.must("1")).milliseconds);
      if (pauseMs > 0) await sleep(pauseMs);
    }
    await sleep(100);
    const what = `execution, ${pauseMs} ms pause`;
    figures.push({ what: `${what}, p50`, value: percentile(waits, 0.5), unit: "ms" });
    figures.push(...costFigures(what, before, readCounters(product.pid), count));
  }
  figures.push(...(await systemCalls(product, client)));
  await client.close();
  return figures;
}

async function systemCalls(product: Product, client: BenchClient): Promise<Figure[]> {
  const calls = await countSystemCalls(product.pid, async () => {
    for (let n = 0; n < TRACED; n += 1) {
      await client.must("1");
      await sleep(5);
    }
  });
  if (calls === null) return [];
  const each = (part: Part) => calls[part] / TRACED;
  return [
    {
      what: "execution, 5 ms pause, system calls",
      value: each("edge") + each("runner") + each("interpreter"),
      unit: "calls",
      note:
        `edge ${each("edge").toFixed(1)}, runner ${each("runner").toFixed(1)}, interpreter ${each("interpreter").toFixed(1)}; ` +
        "with the copy after each, and waits that were interrupted",
    },
  ];
}

async function sessionCosts(product: Product): Promise<Figure[]> {
  await sleep(3000);
  const before = readCounters(product.pid);
  const clients: BenchClient[] = [];
  const waits: number[] = [];
  for (let n = 0; n < NEW_SESSIONS; n += 1) {
    const startedAt = performance.now();
    const client = await BenchClient.open(product.socketUrl);
    await client.must("1");
    waits.push(performance.now() - startedAt);
    clients.push(client);
    await sleep(300);
  }
  // The pool replaces what it has given out.
  await sleep(3000);
  const figures = [
    { what: "new session from the pool, p50", value: percentile(waits, 0.5), unit: "ms" },
    ...costFigures("new session", before, readCounters(product.pid), NEW_SESSIONS),
  ];
  for (const client of clients) await client.close();
  return figures;
}

async function burst(product: Product): Promise<Figure[]> {
  await sleep(3000);
  const startedAt = performance.now();
  const waits = await Promise.all(
    Array.from({ length: BURST }, async () => {
      const client = await BenchClient.open(product.socketUrl);
      await client.must("1");
      const waited = performance.now() - startedAt;
      await client.close();
      return waited;
    }),
  );
  return [
    {
      what: `${BURST} new clients at once, last answer`,
      value: Math.max(...waits),
      unit: "ms",
      note: `p50 ${percentile(waits, 0.5).toFixed(0)} ms`,
    },
  ];
}

export async function measureCosts(product: Product, _baselines: Baselines): Promise<Figure[]> {
  return [
    { what: "touching a fresh page on this machine", value: pageFaultMicroseconds(), unit: "µs" },
    ...(await executionCosts(product)),
    ...(await sessionCosts(product)),
    ...(await burst(product)),
  ];
}
