/** What an execution costs, in counts that do not depend on the machine's speed. `npm run bench costs` shows them with times. */
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, expect, it } from "vitest";
import { costEach, countWakings, readCounters } from "../support/counters.ts";
import { familyOf } from "../support/processes.ts";
import { type Product, startProduct } from "../support/product.ts";
import { SocketClient } from "../support/socket-client.ts";

const MIB = 1024 * 1024;
let product: Product;

beforeAll(async () => {
  product = await startProduct({ POOL_MIN_IDLE: "1" });
});
afterAll(async () => {
  await product?.stop();
});

it("takes few reads, writes and page faults for each of many executions in a row", async () => {
  const client = await SocketClient.open(product.socketUrl, { clientId: "row" });
  for (let n = 0; n < 300; n += 1) await client.value("1");
  const before = readCounters(product.pid);
  for (let n = 0; n < 300; n += 1) await client.value("1");
  const { edge, runner, interpreter } = costEach(before, readCounters(product.pid), 300);
  expect(edge.readsAndWrites).toBeLessThan(40);
  expect(runner.readsAndWrites).toBeLessThan(20);
  expect(interpreter.readsAndWrites).toBeLessThan(10);
  expect(runner.faults).toBeLessThan(100);
  expect(interpreter.faults).toBeLessThan(800);
  await client.close();
});

it("hardly wakes while nobody asks for anything", async () => {
  const client = await SocketClient.open(product.socketUrl, { clientId: "rest" });
  await client.value("1");
  const family = familyOf(product.pid);
  const wakings = async () => {
    const before = countWakings(family);
    await sleep(1000);
    return countWakings(family) - before;
  };
  await expect.poll(wakings, { timeout: 60_000 }).toBeLessThan(30);
  await client.close();
});

it("takes few reads and writes and hardly a page fault for each of many tool calls in a loop", async () => {
  const client = await SocketClient.open(product.socketUrl, { clientId: "tools" });
  await client.value("import tools");
  client.send({ type: "execute", id: "e", code: "for n in range(600): tools.echo(n=n)", tools: [{ name: "echo" }] });
  const answer = async (count: number) => {
    for (let n = 0; n < count; n += 1) {
      const { data } = await client.until(({ type }) => type === "tool_call");
      client.send({ type: "tool_result", call_id: data.call_id, value: n });
    }
  };
  await answer(300);
  const before = readCounters(product.pid);
  await answer(300);
  await client.until(({ type }) => type === "result");
  const { edge, runner, interpreter } = costEach(before, readCounters(product.pid), 300);
  // Sessions of earlier tests are stored meanwhile, and the pool starts an interpreter.
  expect(edge.readsAndWrites).toBeLessThan(60);
  expect(runner.readsAndWrites).toBeLessThan(40);
  expect(runner.faults).toBeLessThan(300);
  expect(interpreter.faults).toBeLessThan(200);
  await client.close();
});

it("writes no output to disk that nobody keeps", async () => {
  const client = await SocketClient.open(product.socketUrl, { clientId: "flood", checked: false });
  await client.value("1");
  const before = readCounters(product.pid);
  await client.run("block = 'g' * 999_999 + '\\n'\nfor i in range(300): print(block, end='')", { timeout: 60 }, 90_000);
  const { edge, runner } = costEach(before, readCounters(product.pid), 1);
  // 300 MB were printed. The client gets 8 MiB and the journal keeps 16 MiB, each of them written to the log and to the table.
  console.log(
    `written: edge ${(edge.writtenBytes / MIB).toFixed(1)} MiB, runner ${(runner.writtenBytes / MIB).toFixed(1)} MiB`,
  );
  // None of it counts as written if the state folder is on a tmpfs.
  expect(edge.writtenBytes).toBeLessThan(120 * MIB);
  expect(runner.writtenBytes).toBeLessThan(MIB);
  await client.close();
});
