/** Branch and undo with everything real: a session's state in a second one that shares nothing with it, and the states before executions. */
import { afterEach, expect, it } from "vitest";
import { type Product, startProduct } from "../support/product.ts";
import { SocketClient } from "../support/socket-client.ts";

let product: Product;
afterEach(async () => {
  await product?.stop();
});

const clientId = "owner";

it("makes a session with the variables and files of another one, after which they share nothing", async () => {
  product = await startProduct();
  const one = await SocketClient.open(product.socketUrl, { clientId, session: "one" });
  await one.value("x = [1]\ndef f(): return len(x)\nopen('a.txt', 'w').write('first')\n1");
  const made = await fetch(`${product.url}/api/v1/session/branch`, {
    method: "POST",
    headers: { "client-id": clientId, "content-type": "application/json" },
    body: JSON.stringify({ session: "one", name: "two" }),
  });
  expect(made.status).toBe(201);
  expect(await made.json()).toMatchObject({ from: "one", missing: [], session: { session: "two", state: "ready" } });
  const two = await SocketClient.open(product.socketUrl, { clientId, session: "two" });
  expect(await two.value("x.append(2)\nopen('a.txt', 'a').write(' and second')\n[x, f()]")).toEqual([[1, 2], 2]);
  expect(await one.value("x.append(3)\n[x, f(), open('a.txt').read()]")).toEqual([[1, 3], 2, "first"]);
  expect(await two.value("[x, open('a.txt').read()]")).toEqual([[1, 2], "first and second"]);
  two.send({ type: "branch", id: "b", name: "three" });
  expect((await two.until(({ type }) => type === "branched")).data).toMatchObject({ from: "two", missing: [] });
  const three = await SocketClient.open(product.socketUrl, { clientId, session: "three" });
  expect(await three.value("x")).toEqual([1, 2]);
  await Promise.all([one, two, three].map((client) => client.close()));
});

it("undoes eight executions one after the other, over REST and the socket, each state right", async () => {
  product = await startProduct();
  const client = await SocketClient.open(product.socketUrl, { clientId });
  for (let at = 1; at <= 9; at += 1) {
    await client.value(at === 1 ? "n = [1]" : `n.append(${at})`);
    // The copy of the state before an execution must be there when the execution begins.
    await new Promise((resolve) => setTimeout(resolve, 500));
  }
  const headers = { "client-id": clientId, "content-type": "application/json" };
  const look = async () => (await fetch(`${product.url}/api/v1/session`, { headers })).json();
  const { undo } = (await look()) as { undo: string[] };
  expect(undo).toHaveLength(8);
  for (let left = 8; left >= 2; left -= 1) {
    const undone = await fetch(`${product.url}/api/v1/session/undo`, { method: "POST", headers });
    const execution_id = undo[8 - left];
    expect([undone.status, await undone.json()]).toEqual([
      200,
      { status: "restored", execution_id, source: "snapshot" },
    ]);
  }
  client.send({ type: "undo", id: "u", execution_id: undo[7] });
  expect((await client.until(({ type }) => type === "undone")).data).toMatchObject({ execution_id: undo[7] });
  expect(await client.value("n")).toEqual([1]);
  await client.close();
});
