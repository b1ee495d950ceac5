/** Branch with everything real: variables and files of a session in a second one, and nothing shared afterwards. */
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
