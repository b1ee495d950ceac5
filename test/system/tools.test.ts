/** Tools with everything real: a thousand calls in a loop, 64 side by side, and clients that go in the middle. */
import { afterAll, beforeAll, expect, it } from "vitest";
import { type Product, startProduct } from "../support/product.ts";
import { type Frame, SocketClient } from "../support/socket-client.ts";

let product: Product;
beforeAll(async () => {
  // A thread counts as a process.
  product = await startProduct({ PROCESS_LIMIT: "128" });
});
afterAll(async () => {
  await product?.stop();
});

const ECHO = { name: "echo", timeout: 60 };
const SIDE_BY_SIDE = 64;

/** Runs code and answers each call with its arguments. */
async function runAnswering(client: SocketClient, code: string): Promise<Frame[]> {
  const id = crypto.randomUUID();
  const events: Frame[] = [];
  client.send({ type: "execute", id, code, timeout: 60, tools: [ECHO] });
  await client.until((frame) => {
    if (frame.data?.execution_id !== id) return false;
    events.push(frame);
    const { call_id, arguments: value } = frame.data;
    if (frame.type === "tool_call") client.send({ type: "tool_result", call_id, value });
    return frame.type === "result" || frame.type === "error";
  }, 60_000);
  return events;
}

it("makes a thousand calls in a loop, each of two events and no more", async () => {
  const client = await SocketClient.open(product.socketUrl, { clientId: "loop" });
  const events = await runAnswering(client, "import tools\nsum(tools.echo(n=n)['n'] for n in range(1000))");
  expect(events.at(-1)?.data).toMatchObject({ value: 499500 });
  const kinds = events.map(({ type }) => type);
  expect(kinds).toEqual([...Array.from({ length: 1000 }, () => ["tool_call", "tool_done"]).flat(), "result"]);
  await client.close();
});

const sideBySide = [
  {
    how: "by tasks of asyncio",
    code: `import asyncio, tools
await asyncio.gather(*(tools.aio.echo(n=n) for n in range(${SIDE_BY_SIDE})))`,
    batches: 1,
  },
  {
    how: "by threads",
    code: `import tools
from concurrent.futures import ThreadPoolExecutor
with ThreadPoolExecutor(${SIDE_BY_SIDE}) as pool: answers = list(pool.map(lambda n: tools.echo(n=n), range(${SIDE_BY_SIDE})))
answers`,
    batches: SIDE_BY_SIDE,
  },
];

it.each(sideBySide)(
  "has 64 calls made $how wait at one time, and gives each its own answer",
  async ({ how, code, batches }) => {
    const client = await SocketClient.open(product.socketUrl, { clientId: how.replaceAll(" ", "-") });
    client.send({ type: "execute", id: "together", code, tools: [ECHO], max_parallel_tool_calls: SIDE_BY_SIDE });
    const calls: Frame[] = [];
    while (calls.length < SIDE_BY_SIDE) calls.push(await client.until(({ type }) => type === "tool_call"));
    expect(client.frames.some(({ type }) => type === "tool_done")).toBe(false);
    expect(new Set(calls.map(({ data }) => data.batch)).size).toBe(batches);
    for (const { data } of calls.toReversed()) {
      client.send({ type: "tool_result", call_id: data.call_id, value: data.arguments.n * 2 });
    }
    expect((await client.until(({ type }) => type === "result")).data.value).toEqual(
      Array.from({ length: SIDE_BY_SIDE }, (_, n) => n * 2),
    );
    expect(client.frames.filter(({ type }) => type === "tool_done")).toHaveLength(SIDE_BY_SIDE);
    await client.close();
  },
);

it("goes on with a client that was gone, and over REST", async () => {
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
