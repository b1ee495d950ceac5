// Measures what a session costs: its start, cold and from the pool, and its memory at rest.
import { testPython } from "../../scripts/python-tests.ts";
import { type Product, startProduct } from "../support/product.ts";
import { BenchClient } from "./bench-client.ts";
import { percentile } from "./measure.ts";
import type { Figure } from "./report.ts";
import { sandboxMemory } from "./session-memory.ts";

/** Longer than it takes until a session counts as at rest. */
const settleMs = 9_000;
const manySessions = 200;
const settle = () => new Promise((resolve) => setTimeout(resolve, settleMs));

/** Milliseconds from opening the socket of a new client to its first answer; the pool gets time to fill in between. */
async function firstAnswers(product: Product, count: number, pauseMs: number): Promise<number[]> {
  const samples: number[] = [];
  for (let index = 0; index < count; index += 1) {
    const startedAt = performance.now();
    const client = await BenchClient.open(product.socketUrl);
    await client.must("1");
    samples.push(performance.now() - startedAt);
    await client.close();
    await endSession(product, client.clientId);
    await new Promise((resolve) => setTimeout(resolve, pauseMs));
  }
  return samples;
}

async function endSession(product: Product, clientId: string): Promise<void> {
  const answer = await fetch(`${product.url}/api/v1/session?purge=true`, {
    method: "DELETE",
    headers: { "client-id": clientId },
  });
  if (!answer.ok) throw new Error(`DELETE /session: ${answer.status} ${await answer.text()}`);
}

async function idleMemory(product: Product, count: number): Promise<{ bytes: number; processes: number }> {
  await settle();
  const before = sandboxMemory(product.pid);
  const clients: BenchClient[] = [];
  for (let index = 0; index < count; index += 1) {
    const client = await BenchClient.open(product.socketUrl);
    await client.must("import json; numbers = list(range(1000)); len(numbers)");
    clients.push(client);
  }
  await settle();
  const after = sandboxMemory(product.pid);
  for (const client of clients) {
    await client.close();
    await endSession(product, client.clientId);
  }
  return {
    bytes: (after.bytes - before.bytes) / count,
    processes: (after.processes - before.processes) / count,
  };
}

export async function measureSessions(product: Product): Promise<Figure[]> {
  await firstAnswers(product, 3, 200);
  const pooled = await firstAnswers(product, 30, 200);
  const memory = await idleMemory(product, 20);
  const manyProduct = await startProduct({
    PYTHON: testPython(),
    POOL_MIN_IDLE: "0",
    POOL_MAX_SESSIONS: String(manySessions),
    LOG_LEVEL: "warn",
  });
  const many = await idleMemory(manyProduct, manySessions);
  await manyProduct.stop();
  const coldProduct = await startProduct({ PYTHON: testPython(), POOL_MIN_IDLE: "0", LOG_LEVEL: "warn" });
  const cold = await firstAnswers(coldProduct, 15, 50);
  await coldProduct.stop();
  return [
    {
      what: "new client to first answer, from the pool, p50",
      value: percentile(pooled, 0.5),
      unit: "ms",
      target: { atMost: 10 },
      note: `p99 ${percentile(pooled, 0.99).toFixed(1)} ms`,
    },
    {
      what: "new client to first answer, cold, p50",
      value: percentile(cold, 0.5),
      unit: "ms",
      target: { atMost: 80 },
      note: `p99 ${percentile(cold, 0.99).toFixed(1)} ms`,
    },
    {
      what: "memory of an idle session (PSS)",
      value: memory.bytes / 1e6,
      unit: "MB",
      target: { atMost: 6 },
      note: `${memory.processes.toFixed(1)} processes each, over 20 sessions`,
    },
    {
      what: `memory of an idle session (PSS), ${manySessions} of them`,
      value: many.bytes / 1e6,
      unit: "MB",
      target: { atMost: 3 },
      note: `${many.processes.toFixed(1)} processes each, ${((many.bytes * manySessions) / 1e6).toFixed(0)} MB in all`,
    },
  ];
}
