/** A large state that is stored again moves only what changed, and nothing of what it replaced stays in the bucket. */
import { readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { findProcesses } from "../support/processes.ts";
import { type Product, startProduct } from "../support/product.ts";

const MIB = 1024 * 1024;

let product: Product;
beforeAll(async () => {
  product = await startProduct({ AUTOSAVE_SECONDS: "0" });
});
afterAll(async () => {
  await product?.stop();
});

async function call(method: string, path: string, body?: unknown) {
  const answer = await fetch(`${product.url}/api/v1${path}`, {
    method,
    headers: { "client-id": "large" },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  const text = await answer.text();
  return text === "" ? null : JSON.parse(text);
}

const resultOf = async (code: string) => (await call("POST", "/execute?wait=60", { code, timeout: 60 })).result?.value;

/** Bytes of checkpoints that the edge has fetched from the runner so far. */
async function movedBytes(): Promise<number> {
  const text = await (await fetch(`${product.runnerUrl}/metrics`)).text();
  return Number(/^pyrepl_checkpoint_bytes_sent_total (\S+)$/m.exec(text)?.[1]);
}

/** Bytes of all files of the bucket. */
async function bucketBytes(): Promise<number> {
  const entries = await readdir(product.stateDir, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile() && join(entry.parentPath, entry.name).includes("r2"));
  const sizes = await Promise.all(files.map(async (entry) => (await stat(join(entry.parentPath, entry.name))).size));
  return sizes.reduce((sum, size) => sum + size, 0);
}

it("moves at most 2 MB for one small change of 100 MB, brings the state back, and frees what it replaced", async () => {
  const state =
    "import os, hashlib; data = bytearray(os.urandom(100_000_000)); notes = ['a']; hashlib.sha256(data).hexdigest()";
  await resultOf(state);
  const { checkpoint_id: first, durable } = await call("POST", "/checkpoint", {});
  expect(durable).toBe(true);
  expect(await movedBytes()).toBeGreaterThan(100_000_000);
  const before = await movedBytes();
  const expected = await resultOf("data[50_000_000] ^= 1; notes.insert(0, 'b'); hashlib.sha256(data).hexdigest()");
  const { checkpoint_id: second } = await call("POST", "/checkpoint", {});
  const moved = (await movedBytes()) - before;
  expect(moved).toBeGreaterThan(0);
  expect(moved).toBeLessThanOrEqual(2_000_000);
  for (const pid of findProcesses(product.pid, "worker-runner/main.ts")) process.kill(pid, "SIGKILL");
  await expect
    .poll(() => resultOf("[notes, hashlib.sha256(data).hexdigest()]"), { timeout: 60_000, interval: 500 })
    .toEqual([["b", "a"], expected]);
  expect((await call("POST", `/restore/${first}`, {})).status).toBe("restored");
  expect(await resultOf("notes")).toEqual(["a"]);
  expect(await bucketBytes()).toBeLessThan(104 * MIB);
  await call("DELETE", `/checkpoints/${second}`);
  await call("DELETE", "/session?purge=true");
  await expect.poll(bucketBytes, { timeout: 20_000 }).toBeLessThan(MIB);
}, 120_000);
