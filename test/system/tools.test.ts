/** Tools with everything real: many calls, clients and edges that go in the middle, and each call answered exactly once. */
import { afterEach, expect, it } from "vitest";
import { findProcesses } from "../support/processes.ts";
import { type Product, startProduct } from "../support/product.ts";
import { type Frame, SocketClient } from "../support/socket-client.ts";

let product: Product;
afterEach(async () => {
  await product?.stop();
});

const ECHO = { name: "echo", timeout: 60 };
const TICKS = "import tools\nsum(tools.echo(n=n)['n'] for n in range(COUNT))";

/** Runs code and answers each call with its arguments. */
async function runAnswering(client: SocketClient, code: string, options: Record<string, unknown>): Promise<Frame[]> {
  const id = crypto.randomUUID();
  const events: Frame[] = [];
  client.send({ type: "execute", id, code, timeout: 60, tools: [ECHO], ...options });
  await client.until((frame) => {
    if (frame.data?.execution_id !== id) return false;
    events.push(frame);
    const { call_id, arguments: value } = frame.data;
    if (frame.type === "tool_call") client.send({ type: "tool_result", call_id, value });
    return frame.type === "result" || frame.type === "error";
  }, 60_000);
  return events;
}

it("makes a thousand calls in a loop, each about as long as an execution, and 64 side by side", async () => {
  product = await startProduct();
  const client = await SocketClient.open(product.socketUrl, { clientId: "loop" });
  await client.value("1");
  const startedMs = performance.now();
  for (let round = 0; round < 100; round += 1) await client.value("1");
  const executionMs = (performance.now() - startedMs) / 100;
  const beganMs = performance.now();
  const events = await runAnswering(client, TICKS.replace("COUNT", "1000"), {});
  const callMs = (performance.now() - beganMs) / 1000;
  console.log(`an execution ${executionMs.toFixed(2)} ms, a tool call ${callMs.toFixed(2)} ms`);
  expect(events.at(-1)?.data).toMatchObject({ value: 499500 });
  expect(events.filter(({ type }) => type === "tool_done")).toHaveLength(1000);
  const code = "import asyncio, tools\nlen(await asyncio.gather(*(tools.aio.echo(n=n) for n in range(64))))";
  client.send({ type: "execute", id: "together", code, tools: [ECHO], max_parallel_tool_calls: 64 });
  const calls: Frame[] = [];
  while (calls.length < 64) calls.push(await client.until(({ type }) => type === "tool_call"));
  expect(new Set(calls.map(({ data }) => data.batch)).size).toBe(1);
  for (const { data } of calls.toReversed()) client.send({ type: "tool_result", call_id: data.call_id, value: 1 });
  expect((await client.until(({ type }) => type === "result")).data).toMatchObject({ value: 64 });
  await client.close();
});

it("goes on with a client that was gone, and over REST", async () => {
  product = await startProduct();
  const clientId = "gone";
  const headers = { "client-id": clientId, "content-type": "application/json" };
  const one = await SocketClient.open(product.socketUrl, { clientId });
  const code = "import tools\nx = tools.echo(n=1)\nx = [x, tools.echo(n=2)]\nx";
  one.send({ type: "execute", id: "e", code, tools: [ECHO] });
  await one.until(({ type }) => type === "tool_call");
  one.cut();
  const two = await SocketClient.open(product.socketUrl, { clientId });
  two.send({ type: "attach", after: 0 });
  const [pending] = (await two.until(({ type }) => type === "attached")).data.pending_tool_calls;
  expect(pending).toMatchObject({ name: "echo", arguments: { n: 1 }, execution_id: "e" });
  two.send({ type: "tool_result", call_id: pending.call_id, value: "first" });
  await two.until(({ type, data }) => type === "tool_call" && data.arguments.n === 2);
  await two.close();
  const url = `${product.url}/api/v1/executions/e`;
  const waiting = (await (await fetch(url, { headers })).json()) as Record<string, unknown> & {
    pending_tool_calls: { call_id: string }[];
  };
  expect(waiting).toMatchObject({ status: "running", waiting_for: "tool" });
  const body = JSON.stringify({ results: [{ call_id: waiting.pending_tool_calls[0]?.call_id, value: 2 }], wait: 20 });
  const ended = await (await fetch(`${url}/tool-results`, { method: "POST", headers, body })).json();
  expect(ended).toMatchObject({ status: "succeeded", result: { value: ["first", 2] } });
});

it("answers each call once and shows it once while the edge is killed again and again", async () => {
  product = await startProduct();
  const clientId = "killed";
  const calls = 120;
  const answered: string[] = [];
  let after = 0;
  const seen: Frame[] = [];
  const starter = await SocketClient.open(product.socketUrl, { clientId });
  const code = `import tools\nresults = [tools.echo(n=n) for n in range(${calls})]\nresults == list(range(${calls}))`;
  starter.send({ type: "execute", id: "e", code, tools: [ECHO], timeout: 120 });
  await starter.until(({ type }) => type === "tool_call");
  starter.cut();
  for (let round = 0; seen.at(-1)?.type !== "result"; round += 1) {
    const client = await SocketClient.open(product.socketUrl, { clientId });
    client.send({ type: "attach", after });
    const enough = seen.length + 20 + 10 * round;
    try {
      while (seen.at(-1)?.type !== "result" && seen.length < enough) {
        const frame = await client.next(20_000);
        const owed =
          frame.type === "attached" ? frame.data.pending_tool_calls : frame.type === "tool_call" ? [frame.data] : [];
        if (frame.seq !== undefined) {
          expect(frame.seq).toBeGreaterThan(after);
          after = frame.seq;
          seen.push(frame);
        }
        for (const { call_id, arguments: given } of owed) {
          answered.push(call_id);
          client.send({ type: "tool_result", call_id, value: given.n });
        }
      }
    } finally {
      client.cut();
    }
    if (seen.at(-1)?.type === "result") break;
    for (const pid of findProcesses(product.pid, "workerd")) process.kill(pid, "SIGKILL");
    await expect
      .poll(
        () =>
          fetch(`${product.url}/ready`).then(
            (answer) => answer.ok,
            () => false,
          ),
        { timeout: 30_000 },
      )
      .toBe(true);
  }
  expect(seen.at(-1)?.data).toMatchObject({ value: true });
  const done = seen.filter(({ type }) => type === "tool_done").map(({ data }) => data.call_id);
  expect(done).toHaveLength(calls);
  expect(new Set(done).size).toBe(calls);
}, 200_000);
