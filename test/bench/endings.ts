// Measures how soon running code ends when it is told to, or dies, and that the session answers afterwards.
import { setTimeout as delay } from "node:timers/promises";
import type { Product } from "../support/product.ts";
import { BenchClient } from "./bench-client.ts";
import { percentile, time } from "./measure.ts";
import type { Figure } from "./report.ts";

const loops = [
  { label: "time.sleep(60)", code: "print(1, flush=True); time.sleep(60)", count: 20 },
  { label: "while True: pass", code: "print(1, flush=True)\nwhile True: pass", count: 20 },
  { label: "pow(10, 10**9)", code: "print(1, flush=True); pow(10, 10**9); None", count: 5 },
];

async function measureInterrupt(product: Product, { label, code, count }: (typeof loops)[number]): Promise<Figure> {
  const client = await BenchClient.open(product.socketUrl);
  await client.must("import time; kept = 1");
  const samples: number[] = [];
  let intact = 0;
  for (let index = 0; index < count; index += 1) {
    const running = client.firstOutput();
    const ended = client.run(code);
    await running;
    await delay(20);
    const startedAt = performance.now();
    await client.ask({ type: "interrupt" }, "interrupted");
    const { last } = await ended;
    samples.push(performance.now() - startedAt);
    if (last.type !== "error") throw new Error(`${label} ended as ${last.type}`);
    if ((await client.run("kept")).last.data.value === 1) intact += 1;
    else await client.must("import time; kept = 1");
  }
  await client.close();
  return {
    what: `interrupt of ${label}, p99`,
    value: percentile(samples, 0.99),
    unit: "ms",
    target: { atMost: 1000 },
    note: `p50 ${percentile(samples, 0.5).toFixed(1)} ms, state intact ${intact} of ${count}`,
  };
}

async function measureCrash(product: Product): Promise<Figure> {
  const client = await BenchClient.open(product.socketUrl);
  await client.must("import os; kept = 1");
  let intact = 0;
  const samples = await time(20, async () => {
    await client.run("os._exit(1)");
    if ((await client.run("kept")).last.data.value === 1) intact += 1;
    else await client.must("import os; kept = 1");
  });
  await client.close();
  return {
    what: "os._exit to the next answer, p50",
    value: percentile(samples, 0.5),
    unit: "ms",
    note: `state intact ${intact} of 20`,
  };
}

export async function measureEndings(product: Product): Promise<Figure[]> {
  const figures: Figure[] = [];
  for (const loop of loops) figures.push(await measureInterrupt(product, loop));
  figures.push(await measureCrash(product));
  return figures;
}
