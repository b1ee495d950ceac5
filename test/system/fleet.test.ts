/** Several runners at once: sessions spread over them, a stopping runner hands its own over, a killed one costs what it had. */
import { readFileSync } from "node:fs";
import { afterAll, beforeAll, expect, it } from "vitest";
import { findProcesses } from "../support/processes.ts";
import { type Product, startProduct } from "../support/product.ts";
import { SocketClient } from "../support/socket-client.ts";

const CLIENTS = 12;

let product: Product;
beforeAll(async () => {
  product = await startProduct({
    RUNNERS: "3",
    RUNNER_PORT: "0",
    POOL_MIN_IDLE: "2",
    POOL_MAX_SESSIONS: "20",
    LINK_IDLE_SECONDS: "1",
  });
});
afterAll(async () => {
  await product?.stop();
});

async function runnerOf(clientId: string): Promise<string | undefined> {
  const answer = await fetch(`${product.url}/api/v1/session`, { headers: { "client-id": clientId } });
  return ((await answer.json()) as { runner: { id: string } | null }).runner?.id;
}

/** The process of a runner, by the name that it was started with. */
function pidOf(runnerId: string | undefined): number {
  const isIt = (pid: number) =>
    readFileSync(`/proc/${pid}/environ`, "utf8").split("\0").includes(`RUNNER_ID=${runnerId}`);
  const pid = findProcesses(product.pid, "worker-runner/main.ts").find(isIt);
  if (pid === undefined) throw new Error(`no process of ${runnerId}`);
  return pid;
}

it("spreads sessions over the runners, moves those of one that stops, and goes on after one is killed", async () => {
  const clients = new Map<string, SocketClient>();
  for (let index = 0; index < CLIENTS; index += 1) {
    const clientId = `fleet-${index}`;
    const client = await SocketClient.open(`${product.socketUrl}?client_id=${clientId}`);
    await client.run(`x = ${index}`);
    clients.set(clientId, client);
  }
  const placed = new Map<string, string | undefined>();
  for (const clientId of clients.keys()) placed.set(clientId, await runnerOf(clientId));
  expect(new Set(placed.values()).size).toBeGreaterThan(1);

  const [first] = clients.values();
  if (first === undefined) throw new Error("no client");
  const stoppedRunner = placed.get("fleet-0");
  first.send({ type: "attach" });
  await first.until((frame) => frame.type === "attached");
  process.kill(pidOf(stoppedRunner), "SIGTERM");
  await first.until((frame) => frame.type === "session" && frame.data.state === "suspended");
  for (const [clientId, client] of clients) {
    expect(await client.value("x"), clientId).toBe(Number(clientId.split("-")[1]));
    const now = await runnerOf(clientId);
    if (placed.get(clientId) !== stoppedRunner) expect(now).toBe(placed.get(clientId));
  }

  const victim = [...clients].find(([clientId]) => placed.get(clientId) !== stoppedRunner);
  if (victim === undefined) throw new Error("everyone was on the runner that stopped");
  const [victimId, client] = victim;
  client.send({
    type: "execute",
    id: "cut",
    code: "print('on', flush=True)\nimport time; time.sleep(60)",
    timeout: 100,
  });
  await client.until((frame) => frame.type === "output" && frame.data.execution_id === "cut");
  process.kill(pidOf(placed.get(victimId)), "SIGKILL");
  const ending = await client.until((frame) => frame.type === "error" && frame.data.execution_id === "cut");
  expect(ending.data.reason).toBe("runner_lost");
  expect(await client.value("1 + 1")).toBe(2);
  expect(await runnerOf(victimId)).toBeDefined();
  for (const open of clients.values()) await open.close();
}, 180_000);

it("fences the interpreter of a runner that was stopped, replaced and continued", async () => {
  const clientId = "fenced";
  const execute = async (code: string) => {
    const answer = await fetch(`${product.url}/api/v1/execute?wait=50`, {
      method: "POST",
      headers: { "client-id": clientId },
      body: JSON.stringify({ code }),
    });
    return (await answer.json()) as { status: string; result: { value: unknown } | null; first_seq: number };
  };
  const before = await execute("x = 1; x");
  const former = await runnerOf(clientId);
  const pid = pidOf(former);
  const isStored = async () => {
    const answer = await fetch(`${product.url}/api/v1/session`, { headers: { "client-id": clientId } });
    return ((await answer.json()) as { saved: { is_current: boolean } | null }).saved?.is_current;
  };
  // Asking uses the link, which must be silent for a second before the state is stored.
  await expect.poll(isStored, { timeout: 30_000, interval: 2_500 }).toBe(true);
  // The link closes after a second of silence; no call tells, since a call would open it again.
  await new Promise((resolve) => setTimeout(resolve, 6000));
  process.kill(pid, "SIGSTOP");
  try {
    const moved = await execute("x += 1; x");
    expect([moved.status, moved.result?.value]).toEqual(["succeeded", 2]);
    expect(moved.first_seq).toBeGreaterThan(before.first_seq);
    expect(await runnerOf(clientId)).not.toBe(former);
  } finally {
    process.kill(pid, "SIGCONT");
  }
  const after = await execute("x += 1; x");
  expect([after.status, after.result?.value]).toEqual(["succeeded", 3]);
  expect(await runnerOf(clientId)).not.toBe(former);
}, 120_000);

it("says that there is no room where every runner is full", async () => {
  const small = await startProduct({ RUNNERS: "2", RUNNER_PORT: "0", POOL_MIN_IDLE: "0", POOL_MAX_SESSIONS: "1" });
  try {
    const execute = async (clientId: string, code = "1", wait = 30) => {
      const answer = await fetch(`${small.url}/api/v1/execute?wait=${wait}`, {
        method: "POST",
        headers: { "client-id": clientId },
        body: JSON.stringify({ code, timeout: 120 }),
      });
      return { status: answer.status, retryAfter: answer.headers.get("retry-after"), body: await answer.json() };
    };
    // A session that runs code does not give way to another.
    for (const clientId of ["one", "two"]) {
      expect((await execute(clientId, "import time\ntime.sleep(100)", 0)).status).toBe(202);
    }
    const third = await execute("three");
    expect(third.status).toBe(503);
    expect(Number(third.retryAfter)).toBeGreaterThan(0);
    expect((third.body as { code: string }).code).toMatch(/no_runner|pool_exhausted/);
    expect((await fetch(`${small.url}/ready`)).status).toBe(503);
    await fetch(`${small.url}/api/v1/session`, { method: "DELETE", headers: { "client-id": "one" } });
    await expect.poll(async () => (await execute("three")).status, { timeout: 30_000, interval: 500 }).toBe(200);
  } finally {
    await small.stop();
  }
}, 120_000);
