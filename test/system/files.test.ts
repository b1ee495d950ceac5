/** Files with everything real: large ones in both directions, names of all kinds, and their life with the session. */
import { createHash, randomBytes } from "node:crypto";
import { afterEach, expect, it } from "vitest";
import { familyOf, residentBytes } from "../support/processes.ts";
import { type Product, startProduct } from "../support/product.ts";
import { SocketClient } from "../support/socket-client.ts";

const MIB = 1024 * 1024;
/** 1024 is what the workspace of this test takes; less keeps the whole suite short. */
const LARGE_MB = Number(process.env.FILES_TEST_MB ?? 192);
const MAX_GROWTH_BYTES = 64 * MIB;

let product: Product;
afterEach(async () => {
  await product?.stop();
});

const clientId = "owner";

async function send(method: string, path: string, init: RequestInit = {}) {
  const headers = { "client-id": clientId, ...init.headers };
  return fetch(`${product.url}/api/v1${path}`, { ...init, method, headers });
}

// biome-ignore lint/suspicious/noExplicitAny: tests look into answers freely
async function call(method: string, path: string, init: RequestInit = {}): Promise<{ status: number; body: any }> {
  const answer = await send(method, path, init);
  return { status: answer.status, body: answer.status === 204 ? null : await answer.json() };
}

const contentPath = (path: string) => `/files/content?path=${encodeURIComponent(path)}`;

/** The same bytes again and again, and their hash on the way. */
function largeContent(bytes: number): { stream: ReadableStream<Uint8Array>; sha256: () => string } {
  const piece = randomBytes(MIB);
  const hash = createHash("sha256");
  let left = bytes;
  const stream = new ReadableStream<Uint8Array>({
    pull(controller) {
      const next = piece.subarray(0, Math.min(left, piece.length));
      left -= next.length;
      hash.update(next);
      controller.enqueue(new Uint8Array(next));
      if (left === 0) controller.close();
    },
  });
  return { stream, sha256: () => hash.digest("hex") };
}

/** Watches each process of the product; one that starts meanwhile counts whole. */
function watchGrowth(): { stop: () => number } {
  const before = new Map(familyOf(product.pid).map((pid) => [pid, residentBytes(pid)]));
  let growth = 0;
  const look = () => {
    for (const pid of familyOf(product.pid)) {
      growth = Math.max(growth, residentBytes(pid) - (before.get(pid) ?? 0));
    }
  };
  const timer = setInterval(look, 200);
  return {
    stop() {
      clearInterval(timer);
      look();
      return growth;
    },
  };
}

it("moves a large file up and down while code runs, in bounded memory", { tags: "bubblewrap" }, async () => {
  // The content is in the memory that the session's limit counts.
  product = await startProduct({ WORKSPACE_LIMIT_MB: "1040", MEMORY_LIMIT_MB: "2048", AUTOSAVE_SECONDS: "0" });
  const client = await SocketClient.open(product.socketUrl, { clientId });
  expect(await client.value("state = 'kept'\n1")).toBe(1);
  for (let warm = 0; warm < 3; warm += 1) {
    expect((await call("PUT", contentPath("warm"), { body: randomBytes(8 * MIB) })).status).toBeLessThan(300);
    expect((await (await send("GET", contentPath("warm"))).arrayBuffer()).byteLength).toBe(8 * MIB);
  }
  expect((await call("DELETE", "/files?path=warm")).status).toBe(204);
  // The upload takes as long as the machine needs.
  const running = client.run(
    "import os, time\nwhile not os.path.exists('in/large'): time.sleep(0.01)\nos.path.getsize('in/large')",
    { timeout: 250 },
    250_000,
  );
  const growth = watchGrowth();
  const { stream, sha256 } = largeContent(LARGE_MB * MIB);
  const init = { body: stream, duplex: "half" } as RequestInit;
  const written = await call("PUT", contentPath("in/large"), init);
  expect([written.status, written.body.size]).toEqual([201, LARGE_MB * MIB]);
  expect((await running).at(-1)?.data.value).toBe(LARGE_MB * MIB);
  const answer = await send("GET", contentPath("in/large"));
  expect(answer.headers.get("content-length")).toBe(String(LARGE_MB * MIB));
  const hash = createHash("sha256");
  for await (const piece of answer.body as ReadableStream<Uint8Array>) hash.update(piece);
  expect(hash.digest("hex")).toBe(sha256());
  const grown = growth.stop();
  console.log(`largest growth of a process: ${Math.round(grown / MIB)} MB`);
  expect(grown).toBeLessThan(MAX_GROWTH_BYTES);
  expect(await client.value("state")).toBe("kept");
  await client.close();
});

it("keeps files with the session, and takes names of every kind", async () => {
  product = await startProduct({ AUTOSAVE_SECONDS: "0" });
  const names = ["new\nline", "n".repeat(255), "ümläut 🐍", "sp ace", "100%", "a\\b", "'\"", "-rf"];
  for (const name of names) {
    const written = await call("PUT", contentPath(`names/${name}`), { body: name });
    expect([written.status, written.body.path]).toEqual([201, `names/${name}`]);
  }
  for (const path of ["../x", "/etc/passwd", "a/../../x", "nul\0", "..", "n".repeat(256)]) {
    for (const method of ["GET", "PUT"]) {
      const init = method === "PUT" ? { body: "x" } : {};
      const { status, body } = await call(method, contentPath(path), init);
      expect([status, body.code], path).toEqual([400, "invalid_path"]);
    }
  }
  const code = "open('names/report', 'w').write('x')";
  const ran = await call("POST", "/execute?wait=20", { body: JSON.stringify({ code, report_files: true }) });
  expect(ran.body.result).toMatchObject({
    files: [{ path: "names/report", change: "created", size: 1 }],
    files_truncated: false,
  });
  expect((await call("DELETE", "/files?path=names/report")).status).toBe(204);
  expect((await call("PUT", "/sessions/default", { body: JSON.stringify({ idle_seconds: 1 }) })).status).toBe(200);
  const state = async () => (await call("GET", "/session")).body.state;
  await expect.poll(state, { timeout: 30_000, interval: 300 }).toBe("suspended");
  const listed = await call("GET", "/files?path=names");
  expect(listed.body.entries.map(({ path }: { path: string }) => path).sort()).toEqual(
    names.map((name) => `names/${name}`).sort(),
  );
  for (const name of names) {
    expect(await (await send("GET", contentPath(`names/${name}`))).text()).toBe(name);
  }
});
