// Measures many sessions on one machine, with a service of its own for each part: 500 that live side by side, and 1,000 clients that call
// once a minute on 100 places.
import { setTimeout as sleep } from "node:timers/promises";
import { testPython } from "../../scripts/python-tests.ts";
import { type Product, startProduct } from "../support/product.ts";
import { BenchClient } from "./bench-client.ts";
import { percentile } from "./measure.ts";
import type { Figure } from "./report.ts";
import { sandboxMemory } from "./session-memory.ts";

const LIVE_SESSIONS = 500;
const STARTS_AT_ONCE = 8;
const CALLERS = 1000;
const PLACES = 100;
const MINUTE_MS = 60_000;
const ROUNDS = 2;

async function withProduct<T>(places: number, measure: (product: Product) => Promise<T>): Promise<T> {
  const product = await startProduct({
    PYTHON: testPython(),
    LOG_LEVEL: "warn",
    POOL_MAX_SESSIONS: String(places),
    SESSION_IDLE_SECONDS: "3600",
  });
  try {
    return await measure(product);
  } finally {
    await product.stop();
  }
}

/** Runs `action` for the numbers below `count`, `atOnce` of them side by side. */
async function forEach(count: number, atOnce: number, action: (index: number) => Promise<void>): Promise<void> {
  let next = 0;
  const work = async () => {
    while (next < count) {
      const index = next;
      next += 1;
      await action(index);
    }
  };
  await Promise.all(Array.from({ length: atOnce }, work));
}

async function measureLive(product: Product): Promise<Figure[]> {
  const before = sandboxMemory(product.pid);
  const clients: BenchClient[] = [];
  const startedAt = performance.now();
  await forEach(LIVE_SESSIONS, STARTS_AT_ONCE, async (index) => {
    const client = await BenchClient.open(product.socketUrl);
    await client.must(`x = ${index}`);
    clients[index] = client;
  });
  const startSeconds = (performance.now() - startedAt) / 1000;
  const held = sandboxMemory(product.pid);
  const waits: number[] = [];
  let right = 0;
  for (const [index, client] of clients.entries()) {
    const run = await client.run("x");
    waits.push(run.milliseconds);
    right += run.last.data.value === index ? 1 : 0;
  }
  for (const client of clients) await client.close();
  const megabytes = (held.bytes - before.bytes) / LIVE_SESSIONS / 1_000_000;
  return [
    {
      what: `${LIVE_SESSIONS} live sessions, answering with their state`,
      value: right,
      unit: "sessions",
      target: { atLeast: LIVE_SESSIONS },
      note: `started in ${startSeconds.toFixed(0)} s, answer p50 ${percentile(waits, 0.5).toFixed(1)} ms`,
    },
    { what: `${LIVE_SESSIONS} live sessions, PSS of each`, value: megabytes, unit: "MB", target: { atMost: 3 } },
  ];
}

async function measureCallers(product: Product): Promise<Figure[]> {
  const waits: number[] = [];
  const totals: number[] = [];
  let refused = 0;
  await forEach(CALLERS, CALLERS, async (index) => {
    await sleep((index / CALLERS) * MINUTE_MS);
    const clientId = crypto.randomUUID();
    let total = 0;
    for (let round = 0; round < ROUNDS; round += 1) {
      const startedAt = performance.now();
      const client = await BenchClient.open(product.socketUrl, { clientId });
      try {
        total = (await client.must("n = globals().get('n', 0) + 1\nn")).last.data.value;
        waits.push(performance.now() - startedAt);
      } catch {
        refused += 1;
      } finally {
        await client.close();
      }
      await sleep(Math.max(0, MINUTE_MS - (performance.now() - startedAt)));
    }
    totals.push(total);
  });
  const what = `${CALLERS} clients, a call a minute on ${PLACES} places`;
  return [
    { what: `${what}, refused`, value: refused, unit: "calls", target: { atMost: 0 } },
    {
      what: `${what}, p95`,
      value: percentile(waits, 0.95),
      unit: "ms",
      note: `p50 ${percentile(waits, 0.5).toFixed(0)}, max ${Math.max(...waits).toFixed(0)} ms`,
    },
    {
      what: `${what}, states kept`,
      value: totals.filter((total) => total === ROUNDS).length,
      unit: "sessions",
      target: { atLeast: CALLERS },
    },
  ];
}

export async function measureCrowds(): Promise<Figure[]> {
  return [...(await withProduct(LIVE_SESSIONS, measureLive)), ...(await withProduct(PLACES, measureCallers))];
}
