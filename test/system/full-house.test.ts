/** More clients than places: the session idle longest gives way, its state is kept, and nobody is refused. */
import { afterAll, beforeAll, expect, it } from "vitest";
import { type Product, startProduct } from "../support/product.ts";
import { SocketClient } from "../support/socket-client.ts";

const PLACES = 4;
let product: Product;

beforeAll(async () => {
  product = await startProduct({ POOL_MAX_SESSIONS: String(PLACES), POOL_MIN_IDLE: "0" });
});
afterAll(async () => {
  await product?.stop();
});

it("gives every client of many its turn, twice, with its state", async () => {
  const clients = await Promise.all(
    Array.from({ length: 3 * PLACES }, (_, n) => SocketClient.open(product.socketUrl, { clientId: `many-${n}` })),
  );
  const first = await Promise.all(clients.map((client, n) => client.value(`x = ${n}\nx`)));
  expect(first).toEqual(clients.map((_, n) => n));
  const second = await Promise.all(clients.map((client) => client.value("x * 10")));
  expect(second).toEqual(clients.map((_, n) => n * 10));
  for (const client of clients) await client.close();
}, 120_000);

it("leaves alone a session that runs code and one that waits for input", async () => {
  const [running, asking, ...others] = await Promise.all(
    Array.from({ length: PLACES + 2 }, (_, n) => SocketClient.open(product.socketUrl, { clientId: `busy-${n}` })),
  );
  if (running === undefined || asking === undefined) throw new Error("no clients");
  running.send({
    type: "execute",
    id: "long",
    timeout: 60,
    code: "import time\nprint('on', flush=True)\ntime.sleep(6)\n'ran'",
  });
  await running.until((frame) => frame.type === "output", 30_000);
  asking.send({ type: "execute", id: "ask", timeout: 60, code: "input('?')" });
  const { data } = await asking.until((frame) => frame.type === "input", 30_000);
  for (const other of others) expect(await other.value("'here'")).toBe("here");
  asking.send({ type: "input_response", input_id: data.input_id, value: "still mine" });
  expect((await asking.until((frame) => frame.type === "result")).data.value).toBe("still mine");
  expect((await running.until((frame) => frame.type === "result", 30_000)).data.value).toBe("ran");
  for (const client of [running, asking, ...others]) await client.close();
}, 120_000);

it("keeps a session whose state cannot be stored, says so in its overview, and lets another one give way", async () => {
  const stubborn = await SocketClient.open(product.socketUrl, { clientId: "stubborn" });
  const code =
    "import os\nclass Stubborn:\n    def __reduce__(self): os._exit(3)\nkept = [7]\nstubborn = Stubborn()\nkept";
  expect(await stubborn.value(code)).toEqual([7]);
  const others = await Promise.all(
    Array.from({ length: PLACES + 1 }, (_, n) => SocketClient.open(product.socketUrl, { clientId: `beside-${n}` })),
  );
  for (const other of others) expect(await other.value("1")).toBe(1);
  const answer = await fetch(`${product.url}/api/v1/session`, { headers: { "client-id": "stubborn" } });
  expect(await answer.json()).toMatchObject({ state: "ready", save_failed: { attempts: expect.any(Number) } });
  expect(await stubborn.value("kept")).toEqual([7]);
  for (const client of [stubborn, ...others]) await client.close();
}, 120_000);
