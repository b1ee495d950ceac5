/** Limits of a tenant over all its client ids, and claims that narrow, on the whole product. */
import { SignJWT } from "jose";
import { afterAll, beforeAll, expect, it } from "vitest";
import { type Product, startProduct } from "../support/product.ts";
import { SocketClient } from "../support/socket-client.ts";

const SECRET = "a secret of at least thirty-two characters";
const SESSIONS = 3;
const SLEEP = "import time\nprint('on', flush=True)\ntime.sleep(100)";

let product: Product;
beforeAll(async () => {
  product = await startProduct({
    JWT_SECRET: SECRET,
    MAX_SESSIONS_PER_TENANT: String(SESSIONS),
    MAX_EXECUTIONS_PER_TENANT: "2",
    POOL_MIN_IDLE: "1",
  });
});
afterAll(async () => {
  await product?.stop();
});

async function bearer(tenant: string, pyrepl: object = {}, lifetime = "10m"): Promise<Record<string, string>> {
  const token = new SignJWT({ pyrepl }).setProtectedHeader({ alg: "HS256" }).setSubject(tenant);
  return {
    authorization: `Bearer ${await token.setExpirationTime(lifetime).sign(new TextEncoder().encode(SECRET))}`,
  };
}

async function execute(headers: Record<string, string>, clientId: string, code: string, session = "default") {
  const answer = await fetch(`${product.url}/api/v1/execute?wait=30&session=${session}`, {
    method: "POST",
    headers: { ...headers, "client-id": clientId },
    body: JSON.stringify({ code, timeout: 120 }),
  });
  const body = (await answer.json()) as { code?: string; status: string | number };
  return {
    status: answer.status,
    code: answer.ok ? undefined : body.code,
    retryAfter: answer.headers.get("retry-after"),
  };
}

it("runs code in so many sessions of a tenant at once, and refuses the next one until one is free", async () => {
  const headers = await bearer("busy");
  const open = (clientId: string) => SocketClient.open(product.socketUrl, { clientId, headers });
  const [one, two] = [await open("one"), await open("two")];
  for (const client of [one, two]) {
    client.send({ type: "execute", id: `sleep-${client === one}`, code: SLEEP, timeout: 120 });
    await client.until((frame) => frame.type === "output");
  }
  const refused = await execute(headers, "three", "3");
  expect(refused).toMatchObject({ status: 429, code: "rate_limited" });
  expect(Number(refused.retryAfter)).toBeGreaterThan(0);
  const three = await open("three");
  three.send({ type: "execute", id: "refused", code: "3" });
  expect((await three.until((frame) => frame.id === "refused")).data.code).toBe("rate_limited");
  expect(await execute(await bearer("other"), "three", "3")).toMatchObject({ status: 200 });
  one.send({ type: "interrupt" });
  await one.until((frame) => frame.type === "error");
  await expect.poll(() => three.value("1 + 2").catch(() => null), { timeout: 20_000, interval: 500 }).toBe(3);
  for (const client of [one, two, three]) await client.close();
});

it("gives a tenant so many sessions over all its client ids", async () => {
  const headers = await bearer("wide");
  for (let n = 0; n < SESSIONS; n += 1)
    expect(await execute(headers, `c-${n}`, "x = 1")).toMatchObject({ status: 200 });
  expect(await execute(headers, "one-more", "1")).toMatchObject({ status: 429, code: "session_limit" });
  expect(await execute(headers, "c-0", "x")).toMatchObject({ status: 200 });
  const ended = await fetch(`${product.url}/api/v1/session`, {
    method: "DELETE",
    headers: { ...headers, "client-id": "c-1" },
  });
  expect(ended.status).toBe(204);
  const status = async () => (await execute(headers, "one-more", "1")).status;
  await expect.poll(status, { timeout: 20_000, interval: 500 }).toBe(200);
});

it("narrows the sessions and the rate of one token, and what a reader may send", async () => {
  const narrow = await bearer("narrow", { sessions: 1 });
  expect(await execute(narrow, "n", "1", "first")).toMatchObject({ status: 200 });
  expect(await execute(narrow, "n", "1", "second")).toMatchObject({ status: 429, code: "session_limit" });
  expect(await execute(await bearer("narrow"), "n", "1", "second")).toMatchObject({ status: 200 });
  const slow = await bearer("narrow", { rate: 0.01 });
  expect(await execute(slow, "n", "1", "first")).toMatchObject({ status: 429, code: "rate_limited" });

  const reader = await SocketClient.open(`${product.socketUrl}?session=first`, {
    clientId: "n",
    headers: await bearer("narrow", { read_only: true }),
  });
  reader.send({ type: "execute", id: "no", code: "1" });
  expect((await reader.until((frame) => frame.id === "no")).data.code).toBe("forbidden");
  reader.send({ type: "attach", after: 0 });
  expect((await reader.until((frame) => frame.type === "result")).data.value).toBe(1);
  await reader.close();
});
