/** A quiet session stores its state by itself, so that a runner which is killed costs nothing. With the default settings. */
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, expect, it } from "vitest";
import { findProcesses } from "../support/processes.ts";
import { type Product, startProduct } from "../support/product.ts";
import { SocketClient } from "../support/socket-client.ts";

const KILL_AFTER_MS = 5000;

let product: Product;
beforeAll(async () => {
  product = await startProduct();
});
afterAll(async () => {
  await product?.stop();
});

it("loses nothing if the runner is killed five seconds after the last execution, without any checkpoint", async () => {
  const client = await SocketClient.open(`${product.socketUrl}?client_id=saver`);
  client.send({ type: "attach" });
  await client.until((frame) => frame.type === "attached");
  const isSaved = ({ type, data }: { type: string; data: { reason?: string } }) =>
    type === "session" && data.reason === "saved";
  await client.run("items = [1]; open('kept.txt', 'w').write('kept')");
  await client.until(isSaved);
  // The second execution comes right behind a save, when the next one is the latest.
  await client.run("items.append(2)\ndef f(): return items");
  const endedAtMs = performance.now();
  const saved = await client.until(isSaved);
  console.log(`stored ${(performance.now() - endedAtMs).toFixed(0)} ms after the last execution`);
  expect(saved.data).toMatchObject({ state: "ready", saved: { is_current: true } });
  const overview = await fetch(`${product.url}/api/v1/session`, { headers: { "client-id": "saver" } });
  expect(await overview.json()).toMatchObject({ saved: { is_current: true } });
  await sleep(Math.max(0, endedAtMs + KILL_AFTER_MS - performance.now()));
  for (const pid of findProcesses(product.pid, "worker-runner/main.ts")) process.kill(pid, "SIGKILL");
  // Until the runner is there again, code ends as `runner_lost` or is refused.
  const readBack = async () => {
    const answer = await fetch(`${product.url}/api/v1/execute?wait=20`, {
      method: "POST",
      headers: { "client-id": "saver" },
      body: JSON.stringify({ code: "(f(), open('kept.txt').read())", transaction_policy: "rollback_always" }),
    });
    return ((await answer.json()) as { result?: { value: unknown } | null }).result?.value;
  };
  await expect.poll(readBack, { timeout: 60_000, interval: 500 }).toEqual([[1, 2], "kept"]);
  const restored = await client.until(({ type, data }) => type === "session" && data.state === "restored");
  expect(restored.data).toMatchObject({ reason: "runner_lost", missing: [] });
  await client.close();
}, 90_000);
