// Measures how long one execution takes, and how many one client gets through in a second.
import { setTimeout as delay } from "node:timers/promises";
import { costEach, type Part, readCounters } from "../support/counters.ts";
import type { Product } from "../support/product.ts";
import { type Baselines, pipeRoundTrips } from "./baselines.ts";
import { BenchClient } from "./bench-client.ts";
import { percentile, time } from "./measure.ts";
import type { Figure } from "./report.ts";

const rounds = 4;
const perRound = 500;
const pipelineDepth = 32;
const cpuCount = 1000;

export async function measureLatency(product: Product, baselines: Baselines): Promise<Figure[]> {
  const client = await BenchClient.open(product.socketUrl);
  const execute = () => client.run("1");
  await time(300, execute);
  await baselines.relayRoundTrips(300);
  await baselines.echoRoundTrips(300);

  // Alternating rounds, so that what else the machine does meets all of them alike.
  const samples = { execute: [] as number[], relay: [] as number[], echo: [] as number[], pipe: [] as number[] };
  for (let round = 0; round < rounds; round += 1) {
    samples.execute.push(...(await time(perRound, execute)));
    samples.relay.push(...(await baselines.relayRoundTrips(perRound)));
    samples.echo.push(...(await baselines.echoRoundTrips(perRound)));
    samples.pipe.push(...(await pipeRoundTrips(perRound)));
  }
  const paused = await afterPauses(execute);
  const relayPaused = await afterPauses(() => baselines.relayRoundTrips(1));
  const before = readCounters(product.pid);
  await time(cpuCount, execute);
  const cost = costEach(before, readCounters(product.pid), cpuCount);
  const cpu = (part: Part) => cost[part].cpuMs;
  const sequentialRate = (samples.execute.length / samples.execute.reduce((sum, each) => sum + each, 0)) * 1000;
  const pipelined = await pipelinedRate(client, 3000);
  const rolledBack = await time(300, () => client.run("1", { transaction_policy: "rollback_always" }));
  const failed = await time(300, () => client.run("1 / 0", { transaction_policy: "rollback_on_failure" }));
  await client.close();
  const rest = await restRoundTrips(product, 300);

  const p50 = (values: readonly number[]) => percentile(values, 0.5);
  const p99 = (values: readonly number[]) => percentile(values, 0.99);
  return [
    { what: "bare pipe to Python, p50", value: p50(samples.pipe), unit: "ms" },
    { what: "bare Durable Object echo, p50", value: p50(samples.echo), unit: "ms" },
    { what: "bare relay WS-DO-WS-Node-Python, p50", value: p50(samples.relay), unit: "ms" },
    {
      what: "execute over WebSocket, p50",
      value: p50(samples.execute),
      unit: "ms",
      baseline: { what: "relay", value: p50(samples.relay) },
      target: { atMost: 1.5, of: "ratio" },
    },
    {
      what: "execute over WebSocket, p99",
      value: p99(samples.execute),
      unit: "ms",
      baseline: { what: "relay", value: p99(samples.relay) },
    },
    {
      what: "execute after a pause of 10 ms, p50",
      value: p50(paused),
      unit: "ms",
      baseline: { what: "relay, too", value: p50(relayPaused) },
      note: "the snapshot after each execution is then off its path",
    },
    { what: "processor time of an execution, edge", value: cpu("edge"), unit: "ms" },
    { what: "processor time of an execution, runner", value: cpu("runner"), unit: "ms" },
    {
      what: "processor time of an execution, interpreter",
      value: cpu("interpreter"),
      unit: "ms",
      note: "the snapshot that crash recovery needs included",
    },
    {
      what: "executions of one client, one after the other",
      value: sequentialRate,
      unit: "/s",
      target: { atLeast: 1500 },
    },
    {
      what: `executions of one client, ${pipelineDepth} on the way`,
      value: pipelined,
      unit: "/s",
      target: { atLeast: 1500 },
    },
    { what: "execute with rollback_always, p50", value: p50(rolledBack), unit: "ms" },
    { what: "execute that fails and is rolled back, p50", value: p50(failed), unit: "ms" },
    { what: "REST execute?wait, p50", value: p50(rest), unit: "ms" },
  ];
}

async function afterPauses(action: () => Promise<unknown>): Promise<number[]> {
  const samples: number[] = [];
  for (let index = 0; index < 200; index += 1) {
    await delay(10);
    samples.push(...(await time(1, action)));
  }
  return samples;
}

async function pipelinedRate(client: BenchClient, count: number): Promise<number> {
  let left = count;
  const startedAt = performance.now();
  await Promise.all(
    Array.from({ length: pipelineDepth }, async () => {
      for (; left > 0; await client.run("1")) left -= 1;
    }),
  );
  return (count / (performance.now() - startedAt)) * 1000;
}

async function restRoundTrips(product: Product, count: number): Promise<number[]> {
  const headers = { "client-id": crypto.randomUUID(), "content-type": "application/json" };
  const call = async () => {
    const answer = await fetch(`${product.url}/api/v1/execute?wait=10`, {
      method: "POST",
      headers,
      body: JSON.stringify({ code: "1" }),
    });
    const execution = (await answer.json()) as { status?: string };
    if (execution.status !== "succeeded") throw new Error(JSON.stringify(execution));
  };
  await time(20, call);
  return time(count, call);
}
