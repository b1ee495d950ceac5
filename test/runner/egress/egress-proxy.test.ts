/** Proves what the proxy of a session passes on, refuses and bounds, by real sockets; sandboxes are left to `session/egress.test.ts`. */
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer as createHttpServer, type IncomingMessage, type RequestListener } from "node:http";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { expect, it, onTestFinished } from "vitest";
import { AllowList } from "../../../worker-runner/egress/allow-list.ts";
import type { EgressOutcome, EgressSettings } from "../../../worker-runner/egress/dialer.ts";
import { Egress } from "../../../worker-runner/egress/egress.ts";

async function listen(server: Server): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const sockets = new Set<Socket>();
  server.on("connection", (socket: Socket) => sockets.add(socket.on("error", () => socket.destroy())));
  onTestFinished(async () => {
    for (const socket of sockets) socket.destroy();
    await new Promise((resolve) => server.close(resolve));
  });
  return (server.address() as AddressInfo).port;
}

/** A proxy that allows this port of 127.0.0.1, and names below example.org. */
async function openProxy(port: number, settings: Partial<EgressSettings> = {}) {
  const folder = await mkdtemp(join(tmpdir(), "pyrepl3-proxy-"));
  const path = join(folder, "egress.sock");
  const outcomes: EgressOutcome[] = [];
  const moved = { sent: 0, received: 0 };
  const egress = new Egress({
    allow: new AllowList([`127.0.0.1:${port}`, "*.example.org"]),
    hooks: {
      ended: (outcome) => outcomes.push(outcome),
      moved(sent, received) {
        moved.sent += sent;
        moved.received += received;
      },
    },
    ...settings,
  });
  const proxy = await egress.open(path);
  onTestFinished(async () => {
    await proxy.close();
    await rm(folder, { recursive: true });
  });
  const dial = async () => {
    const socket = connect({ path, allowHalfOpen: true });
    socket.on("error", () => socket.destroy());
    await once(socket, "connect");
    return socket;
  };
  /** Sends bytes and returns all that comes back. */
  const ask = async (bytes: string) => {
    const socket = await dial();
    socket.write(bytes, "latin1");
    return text(socket);
  };
  return { proxy, outcomes, moved, dial, ask };
}

const serve = (listener: RequestListener) => listen(createHttpServer(listener));
const firstLine = (answer: string) => answer.split("\r\n")[0];

it("passes a request on with its own host and body, and without the headers of one connection", async () => {
  const seen: { request: IncomingMessage; body: string }[] = [];
  const port = await serve(async (request, response) => {
    seen.push({ request, body: await text(request) });
    response.writeHead(201, { "set-cookie": ["a=1", "b=2"], connection: "close" });
    response.end("made");
  });
  const { ask, outcomes, moved } = await openProxy(port);
  const head = `DELETE http://127.0.0.1:${port}/a%20b?c=d HTTP/1.1\r\nHost: other.org\r\nProxy-Authorization: x\r\nX-Drop: 1\r\nX-Keep: 2\r\n`;
  const answer = await ask(
    `${head}Connection: close, x-drop\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n`,
  );
  expect(firstLine(answer)).toBe("HTTP/1.1 201 Created");
  expect(answer).toMatch(/set-cookie: a=1\r\nset-cookie: b=2/);
  const [{ request, body } = { request: null, body: "" }] = seen;
  expect([request?.method, request?.url, request?.headers.host, body]).toEqual([
    "DELETE",
    "/a%20b?c=d",
    `127.0.0.1:${port}`,
    "hello",
  ]);
  expect(request?.headers).toMatchObject({ "x-keep": "2", "transfer-encoding": "chunked", connection: "close" });
  expect(Object.keys(request?.headers ?? {})).not.toContain("x-drop");
  expect(Object.keys(request?.headers ?? {})).not.toContain("proxy-authorization");
  expect(outcomes).toEqual(["allowed"]);
  expect(moved.sent).toBeGreaterThan(100);
  expect(moved.received).toBeGreaterThan(100);
});

it("serves several requests by one connection", async () => {
  const port = await serve((request, response) => response.end(request.url));
  const { dial, outcomes } = await openProxy(port);
  const socket = await dial();
  for (let count = 0; count < 20; count += 1) {
    socket.write(`GET http://127.0.0.1:${port}/${count} HTTP/1.1\r\nHost: x\r\n\r\n`);
    const [answer] = (await once(socket, "data")) as [Buffer];
    expect(firstLine(answer.toString())).toBe("HTTP/1.1 200 OK");
  }
  expect(socket.destroyed).toBe(false);
  socket.destroy();
  expect(outcomes).toEqual(Array(20).fill("allowed"));
});

it("carries both directions of a tunnel, each to its own end", async () => {
  const port = await listen(
    createServer({ allowHalfOpen: true }, async (socket) => {
      socket.end(`${await text(socket)} back`);
    }),
  );
  const { dial } = await openProxy(port);
  const socket = await dial();
  // What follows the request at once belongs to the tunnel.
  socket.end(`CONNECT 127.0.0.1:${port} HTTP/1.1\r\nHost: x\r\n\r\nthere and`);
  expect(await text(socket)).toBe("HTTP/1.1 200 Connection established\r\n\r\nthere and back");
});

it("refuses by name, by address and by form, and says so in the first line", async () => {
  const port = await serve((_request, response) => response.end("reached"));
  let questions = 0;
  const resolve = async (name: string) => {
    questions += 1;
    if (name === "gone.example.org") throw Object.assign(new Error("no such name"), { code: "ENOTFOUND" });
    return ["127.0.0.1", "::1", "fe80::1", "169.254.169.254", "no address"];
  };
  const { ask, outcomes } = await openProxy(port, { resolve });
  const asked = async (request: string) =>
    firstLine(await ask(`${request}\r\nHost: a.example.org\r\nConnection: close\r\n\r\n`));
  const refused = "HTTP/1.1 403 EGRESS_ALLOW does not allow";
  expect(await asked("CONNECT other.org:443 HTTP/1.1")).toBe(`${refused} other.org:443`);
  expect(await asked("GET http://other.org/ HTTP/1.1")).toBe(`${refused} other.org:80`);
  expect(await asked("CONNECT a.example.org:22 HTTP/1.1")).toBe(`${refused} a.example.org:22`);
  expect(await asked("GET http://127.1/ HTTP/1.1")).toBe(`${refused} 127.0.0.1:80`);
  expect(await asked(`CONNECT [::ffff:127.0.0.1]:${port} HTTP/1.1`)).toBe(`${refused} [::ffff:7f00:1]:${port}`);
  expect(questions).toBe(0);
  expect(outcomes.splice(0)).toEqual(Array(5).fill("refused_name"));
  const isPrivate = "but its address is not public, so it is refused";
  expect(await asked("CONNECT a.example.org:443 HTTP/1.1")).toBe(
    `HTTP/1.1 403 EGRESS_ALLOW names a.example.org:443, ${isPrivate}`,
  );
  expect(questions).toBe(1);
  expect(await asked("GET http://gone.example.org/ HTTP/1.1")).toBe(
    "HTTP/1.1 502 gone.example.org:80 has no address (ENOTFOUND)",
  );
  for (const form of [
    "GET / HTTP/1.1",
    "GET https://a.example.org/ HTTP/1.1",
    "GET http://u:p@a.example.org/ HTTP/1.1",
  ]) {
    expect(await asked(form)).toBe("HTTP/1.1 400 This is a proxy for http and https addresses");
  }
  expect(outcomes).toEqual(["refused_address", "failed", "limited", "limited", "limited"]);
});

it("survives what is no HTTP, and answers that are none", async () => {
  const port = await listen(createServer((socket) => socket.end("no HTTP at all\r\n\r\n")));
  const { ask } = await openProxy(port);
  const forms = [
    "\0\x01\x02\r\n\r\n",
    "GET\r\n\r\n",
    "CONNECT\r\n\r\n",
    `GET http://a/ HTTP/1.1\r\nX: ${"x".repeat(20_000)}\r\n\r\n`,
  ];
  const both = "Content-Length: 3\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n";
  for (const form of [...forms, `POST http://127.0.0.1:${port}/ HTTP/1.1\r\nHost: x\r\n${both}`]) {
    expect(firstLine(await ask(form))).toMatch(/^HTTP\/1.1 4\d\d /);
  }
  expect(firstLine(await ask(`GET http://127.0.0.1:${port}/ HTTP/1.1\r\nHost: x\r\n\r\n`))).toMatch(
    "HTTP/1.1 502 The connection broke off",
  );
});

it("bounds connections", async () => {
  const port = await serve((_request, response) => response.end("reached"));
  const { dial, ask, outcomes } = await openProxy(port);
  const silent = await Promise.all(Array.from({ length: 60 }, dial));
  const request = `GET http://127.0.0.1:${port}/ HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`;
  expect(firstLine(await ask(request))).toBe("HTTP/1.1 503 The session has more than 32 connections");
  // Beyond twice as many, a connection ends at once.
  const more = await Promise.all(Array.from({ length: 10 }, dial));
  await Promise.any(more.map((socket) => text(socket)));
  for (const socket of [...silent, ...more]) socket.end();
  await Promise.all([...silent, ...more].map((socket) => text(socket)));
  expect(firstLine(await ask(request))).toBe("HTTP/1.1 200 OK");
  expect(outcomes).toEqual(["limited", "allowed"]);
});

it("bounds what one connection asks for without waiting for answers, and ends it", async () => {
  let reached = 0;
  const port = await listen(createServer(() => (reached += 1)));
  const { ask, outcomes } = await openProxy(port);
  const request = `GET http://127.0.0.1:${port}/ HTTP/1.1\r\nHost: a\r\n\r\n`;
  // Nothing answers there, so the connection ends only if the proxy ends it.
  await ask(request.repeat(200)).catch(() => "");
  expect(outcomes).toContain("limited");
  expect(reached).toBeLessThanOrEqual(32);
  expect(await ask(`GET http://b.org/ HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n`)).toContain("403");
});

it("ends connections whose head does not come, or comes slowly", async () => {
  const { dial } = await openProxy(1, { headMs: 200 });
  const [silent, slow] = await Promise.all([dial(), dial()]);
  // The end of what the proxy sends ends the connection.
  for (const socket of [silent, slow]) socket.once("end", () => socket.destroy());
  const drip = setInterval(() => slow.write("x"), 50);
  slow.write("GET http://a.example.org/ HTTP/1.1\r\nX: ");
  silent.resume();
  slow.resume();
  await Promise.all([silent, slow].map((socket) => new Promise((resolve) => socket.once("close", resolve))));
  clearInterval(drip);
});

it("holds little of what a session does not read, and ends both sides together", async () => {
  let sent = 0;
  const { promise: ended, resolve: end } = Promise.withResolvers<void>();
  const port = await listen(
    createServer((socket) => {
      socket.once("close", () => end());
      const piece = Buffer.alloc(65_536);
      const fill = () => {
        while (socket.write(piece)) sent += piece.length;
        socket.once("drain", fill);
      };
      fill();
    }),
  );
  const { dial, proxy } = await openProxy(port);
  const socket = await dial();
  socket.pause();
  socket.write(`CONNECT 127.0.0.1:${port} HTTP/1.1\r\nHost: x\r\n\r\n`);
  let before = -1;
  await expect
    .poll(
      () => {
        const isSteady = sent > 0 && sent === before;
        before = sent;
        return isSteady;
      },
      { interval: 300, timeout: 20_000 },
    )
    .toBe(true);
  expect(sent).toBeLessThan(32 * 1024 * 1024);
  await proxy.close();
  await ended;
});
