import { once } from "node:events";
import { existsSync, readFileSync, statSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterAll, beforeAll, expect, it, vi } from "vitest";
import { type ListeningSocket, listeningSockets } from "../support/listening-sockets.ts";
import { familyOf, findProcesses } from "../support/processes.ts";
import { type Product, startProduct } from "../support/product.ts";

vi.setConfig({ testTimeout: 120_000, hookTimeout: 120_000 });

const ANSWER_MS = 5_000;
/** workerd leaves connections open; an answer is complete after this pause. */
const QUIET_MS = 200;
const VICTIM = `pyrepl3-stranger-${process.pid}`;

let product: Product;
beforeAll(async () => {
  product = await startProduct();
});
afterAll(() => product.stop());

function request(line: string, headers: Record<string, string> = {}, body = ""): string {
  const all = { Host: "localhost", Connection: "close", ...headers };
  const lines = Object.entries(all).map(([name, value]) => `${name}: ${value}\r\n`);
  const length = body === "" ? "" : `Content-Length: ${Buffer.byteLength(body)}\r\n`;
  return `${line} HTTP/1.1\r\n${lines.join("")}${length}\r\n${body}`;
}

const REQUESTS: Record<string, string> = {
  "a path of two slashes": request("GET //"),
  "a path of backslashes": request("GET /\\\\evil.example/"),
  "a path without a slash": request("GET foo"),
  "a path that is no UTF-8": request("GET /api/v1/executions/%ED%A0%80"),
  "a path that is no percent-encoding": request("GET /api/v1/executions/%zz"),
  "a NUL in the path": request("GET /api/v1/executions/%00"),
  "a path of a mebibyte": request(`GET /${"a".repeat(1 << 20)}`),
  "an absolute path to elsewhere": request("GET http://evil.example/api/v1/capabilities"),
  "an asterisk": request("OPTIONS *"),
  CONNECT: request("CONNECT evil.example:80"),
  "a foreign Host": request("GET /api/v1/sessions", { Host: "evil.example", "Client-Id": "ada" }),
  "a broken Host": request("GET /health", { Host: "[" }),
  "a Host with a space": request("GET /health", { Host: "a b" }),
  "no Host": "GET /health HTTP/1.1\r\nConnection: close\r\n\r\n",
  "two Hosts": request("GET /health", { "Host ": "evil.example" }).replace("Host :", "Host:"),
  "MF-CF-Blob": request("GET /api/v1/sessions", { "MF-CF-Blob": "{" }),
  "MF-Original-URL": request("GET /api/v1/sessions", {
    Host: "evil.example",
    "MF-Original-URL": "http://localhost/api/v1/sessions",
  }),
  "MF-Route-Override": request("GET /health", { "MF-Route-Override": "nobody" }),
  "MF-Custom-Node-Service": request("GET /health", { "MF-Custom-Node-Service": "0:x:y" }),
  "MF-Custom-Fetch-Service": request("GET /health", { "MF-Custom-Fetch-Service": "0:x:y" }),
  "MF-Op": request("POST /", { "MF-Op": "GET", "MF-Op-Secret": "00", "MF-Op-Target": "[]" }, "[]"),
  "the explorer": request("GET /cdn-cgi/explorer/"),
  "a scheduled event": request("GET /cdn-cgi/mf/scheduled"),
  "a file": request(
    `POST /core/store-temp-file?prefix=../../../../../../../../../../${tmpdir()}&extension=x/../${VICTIM}`,
    { "Content-Type": "text/plain", Origin: "https://evil.example" },
    "written by a stranger",
  ),
  "a list of objects": request("GET /core/do-storage/pyrepl3-ClientSession"),
  "an error to show": request("POST /core/error", {}, '{"name":"Error","message":"x","stack":"x"}'),
  "a browser": request("GET /browser/launch"),
  "a broken upgrade": request("GET /ws/v1/session", { Upgrade: "websocket", Connection: "Upgrade" }),
  "a broken length": request("POST /api/v1/execute", { "Content-Length": "-1" }),
  "two lengths": request("POST /api/v1/execute", { "Content-Length": "5", "Transfer-Encoding": "chunked" }, "zz\r\n"),
  "a header of a mebibyte": request("GET /health", { "X-Long": "a".repeat(1 << 20) }),
  "bytes of no protocol": "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\x00",
  "half a request": "GET /health HTTP/1.1\r\nHost: loc",
};

/** What comes back within a few seconds; empty if the other side closes or stays silent. */
function send(port: number, text: string): Promise<string> {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1", () => socket.write(text, "latin1"));
    let answer = "";
    socket.setTimeout(text.endsWith("\r\n\r\n") ? ANSWER_MS : QUIET_MS, () => socket.destroy());
    socket.on("data", (piece) => {
      answer += piece.toString("latin1");
      socket.setTimeout(QUIET_MS);
    });
    socket.on("error", () => undefined);
    socket.once("close", () => resolve(answer));
  });
}

/** The program itself, the runner, and workerd. */
function servicePids(): number[] {
  return ["src/local/start.ts", "worker-runner/main.ts", "workerd serve"].flatMap((name) =>
    findProcesses(product.pid, name),
  );
}

async function expectAlive(pids: readonly number[]): Promise<void> {
  const response = await fetch(`${product.url}/api/v1/execute?wait=20`, {
    method: "POST",
    headers: { "client-id": "neighbour", "content-type": "application/json" },
    body: JSON.stringify({ code: "6 * 7" }),
  });
  expect(await response.json()).toMatchObject({ result: { value: 42 } });
  expect(servicePids()).toEqual(pids);
}

function portOf({ address }: ListeningSocket): number {
  return Number(address.slice(address.lastIndexOf(":") + 1));
}

it("listens on the edge's port and the runner's only, both on 127.0.0.1", () => {
  const sockets = listeningSockets(familyOf(product.pid)).filter(({ kind }) => kind !== "unix");
  const ports = [product.url, product.runnerUrl].map((url) => new URL(url).host);
  expect(sockets.map(({ kind, address }) => `${kind} ${address}`).sort()).toEqual(
    ports.map((host) => `tcp ${host}`).sort(),
  );
});

it.each(Object.entries(REQUESTS))(
  "goes on after %s on every port, and tells the stranger nothing",
  async (_name, text) => {
    const pids = servicePids();
    expect(pids.length).toBe(3);
    const ports = listeningSockets(familyOf(product.pid))
      .filter(({ kind }) => kind === "tcp")
      .map(portOf);
    const answers = await Promise.all(ports.map((port) => send(port, text)));
    for (const answer of answers) {
      expect(answer).not.toMatch(/^ +at .*:\d+:\d+/m);
      // workerd itself answers so to a target that is no path, before any code of ours.
      const isWorkerds = answer.endsWith("\r\n\r\nInternal Server Error");
      if (!isWorkerds) expect(answer).not.toMatch(/^HTTP\/1\.1 500/);
    }
    expect(existsSync(join(tmpdir(), VICTIM))).toBe(false);
    await expectAlive(pids);
  },
);

it.each(["a foreign Host", "MF-Original-URL"])("shows nothing to a page with %s", async (name) => {
  const answer = await send(Number(new URL(product.url).port), REQUESTS[name] ?? "");
  expect(answer).toMatch(/^HTTP\/1\.1 403/);
  expect(answer).toContain("origin_not_allowed");
});

/** Fewer only if this machine allows a process fewer descriptors. */
const HALF_REQUESTS = 6000;
const OWN_DESCRIPTORS = 1500;

function descriptorLimit(): number {
  const limits = readFileSync("/proc/self/limits", "utf8");
  return Number(/^Max open files +\d+ +(\d+)/m.exec(limits)?.[1] ?? Number.POSITIVE_INFINITY);
}

/** Opens a connection and sends the beginning of a request, and no more. Resolves once it is sent. */
async function sendHalf(port: number): Promise<Socket> {
  const socket = connect(port, "127.0.0.1");
  socket.on("error", () => undefined);
  await once(socket, "connect");
  await new Promise((resolve) => socket.write("GET /health HTTP/1.1\r\nHost: local", resolve));
  return socket;
}

it("answers on each port while thousands of requests are half sent there", async () => {
  const pids = servicePids();
  const count = Math.min(HALF_REQUESTS, descriptorLimit() - OWN_DESCRIPTORS);
  expect(count).toBeGreaterThan(1000);
  for (const url of [product.url, product.runnerUrl]) {
    const port = Number(new URL(url).port);
    const halves: Socket[] = [];
    try {
      while (halves.length < count) {
        halves.push(...(await Promise.all(Array.from({ length: 100 }, () => sendHalf(port)))));
        if (halves.length % 1000 === 0) expect((await fetch(`${url}/health`)).status).toBe(200);
      }
      for (const path of ["/health", "/ready"]) expect((await fetch(`${url}${path}`)).status).toBe(200);
      // They are open, so the answers came beside them. A slow machine may need so long that the first ones are given up.
      expect(halves.filter((socket) => socket.readyState === "open").length).toBeGreaterThan(1000);
      await expectAlive(pids);
    } finally {
      for (const socket of halves) socket.destroy();
    }
  }
});

it("has no local socket on which strangers can hold anything", async () => {
  const sockets = listeningSockets(familyOf(product.pid)).filter(({ kind }) => kind === "unix");
  expect(sockets.length).toBeGreaterThan(0);
  for (const { address } of sockets) {
    if (address.startsWith("@")) {
      // In the abstract namespace there are no permissions.
      const socket = connect(`\0${address.slice(1)}`);
      await once(socket, "close", { signal: AbortSignal.timeout(ANSWER_MS) });
    } else expect([address, foldersOf(address).some(isPrivate)]).toEqual([address, true]);
  }
});

/** Every folder above a path. */
function foldersOf(path: string): string[] {
  const above = dirname(path);
  return above === path ? [] : [above, ...foldersOf(above)];
}

function isPrivate(folder: string): boolean {
  return (statSync(folder).mode & 0o077) === 0;
}
