/** A quiet session stores its state by itself, so that a runner which is killed costs nothing. */
import { afterAll, beforeAll, expect, it } from "vitest";
import { findProcesses } from "../support/processes.ts";
import { type Product, startProduct } from "../support/product.ts";
import { SocketClient } from "../support/socket-client.ts";

let product: Product;
beforeAll(async () => {
  product = await startProduct({ AUTOSAVE_SECONDS: "0.5", LINK_IDLE_SECONDS: "120" });
});
afterAll(async () => {
  await product?.stop();
});

it("tells when the state is stored, and brings it back after the runner was killed", async () => {
  const client = await SocketClient.open(`${product.socketUrl}?client_id=saver`);
  client.send({ type: "attach" });
  await client.until((frame) => frame.type === "attached");
  await client.run("items = [1, 2]; open('kept.txt', 'w').write('kept')");
  const saved = await client.until((frame) => frame.type === "session" && frame.data.reason === "saved");
  expect(saved.data).toMatchObject({ state: "ready", saved: { is_current: true } });
  const overview = await fetch(`${product.url}/api/v1/session`, { headers: { "client-id": "saver" } });
  expect(await overview.json()).toMatchObject({ saved: { is_current: true } });
  for (const pid of findProcesses(product.pid, "worker-runner/main.ts")) process.kill(pid, "SIGKILL");
  // Until the runner is there again, code ends as `runner_lost` or is refused.
  const readBack = async () => {
    const answer = await fetch(`${product.url}/api/v1/execute?wait=20`, {
      method: "POST",
      headers: { "client-id": "saver" },
      body: JSON.stringify({ code: "(items, open('kept.txt').read())" }),
    });
    return ((await answer.json()) as { result?: { value: unknown } | null }).result?.value;
  };
  await expect.poll(readBack, { timeout: 60_000, interval: 500 }).toEqual([[1, 2], "kept"]);
  await client.close();
}, 90_000);
