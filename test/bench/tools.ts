// Measures tool calls beside executions of the same client: one after the other, 64 side by side, and over REST.
import type { Product } from "../support/product.ts";
import type { Baselines } from "./baselines.ts";
import { BenchClient } from "./bench-client.ts";
import { percentile, time } from "./measure.ts";
import type { Figure } from "./report.ts";

const rounds = 4;
const callsInAll = 1000;
const sideBySide = 64;
const restCalls = 100;
const tools = [{ name: "echo" }];

export async function measureTools(product: Product, _baselines: Baselines): Promise<Figure[]> {
  const client = await BenchClient.open(product.socketUrl);
  const stopAnswering = client.answerTools();
  const loop = (count: number) => client.must(`import tools\nfor n in range(${count}): tools.echo(n=n)`, { tools });
  await time(100, () => client.must("1"));
  await loop(100);
  const executions: number[] = [];
  let loopsMs = 0;
  // Alternating rounds, so that what else the machine does meets both alike.
  for (let round = 0; round < rounds; round += 1) {
    executions.push(...(await time(callsInAll / rounds, () => client.must("1"))));
    loopsMs += (await loop(callsInAll / rounds)).milliseconds;
  }
  const gather = `import asyncio, tools\nawait asyncio.gather(*(tools.aio.echo(n=n) for n in range(${sideBySide})))`;
  const gathered = await time(10, () => client.must(gather, { tools, max_parallel_tool_calls: sideBySide }));
  stopAnswering();
  await client.close();
  const meanExecution = executions.reduce((sum, each) => sum + each, 0) / executions.length;
  return [
    {
      what: `a tool call, mean of ${callsInAll.toLocaleString("en")} in a loop`,
      value: loopsMs / callsInAll,
      unit: "ms",
      baseline: { what: "an execution", value: meanExecution },
      target: { atMost: 3, of: "ratio" },
    },
    {
      what: `a tool call, mean of ${sideBySide} side by side`,
      value: percentile(gathered, 0.5) / sideBySide,
      unit: "ms",
      baseline: { what: "an execution", value: meanExecution },
      target: { atMost: 3, of: "ratio" },
    },
    await overRest(product),
  ];
}

/** Each answer is one call that waits for the execution's next stop, which is its next tool call. */
async function overRest(product: Product): Promise<Figure> {
  const headers = { "client-id": crypto.randomUUID() };
  const post = async (path: string, body: object) => {
    const url = `${product.url}/api/v1${path}`;
    const answer = await fetch(url, { method: "POST", headers, body: JSON.stringify(body) });
    const execution = (await answer.json()) as {
      execution_id: string;
      status: string;
      pending_tool_calls: { call_id: string }[];
    };
    if (!answer.ok) throw new Error(`${path}: ${answer.status} ${JSON.stringify(execution)}`);
    return execution;
  };
  const executions = await time(restCalls, () => post("/execute?wait=10", { code: "1" }));
  let execution = await post("/execute?wait=10", {
    code: `import tools\nfor n in range(${restCalls}): tools.echo(n=n)`,
    tools,
  });
  const calls = await time(restCalls, async () => {
    const results = execution.pending_tool_calls.map(({ call_id }) => ({ call_id, value: null }));
    execution = await post(`/executions/${execution.execution_id}/tool-results`, { results, wait: 10 });
  });
  if (execution.status !== "succeeded") throw new Error(JSON.stringify(execution));
  return {
    what: "a tool call over REST, p50",
    value: percentile(calls, 0.5),
    unit: "ms",
    baseline: { what: "an execution over REST", value: percentile(executions, 0.5) },
    target: { atMost: 3, of: "ratio" },
  };
}
