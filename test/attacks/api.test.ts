/** Attacks on the API itself, against the real product: each is answered with a named problem or a closed connection, and the next call is right. */
import { connect, type Socket } from "node:net";
import { SignJWT } from "jose";
import { afterAll, beforeAll, expect, it } from "vitest";
import type WebSocket from "ws";
import { type Product, startProduct } from "../support/product.ts";
import { SocketClient } from "../support/socket-client.ts";

const SECRET = "a secret of at least thirty-two characters";
const MIB = 1024 * 1024;

let product: Product;
let victim: SocketClient;
let mallory: string;

async function tokenOf(sub: string): Promise<string> {
  return new SignJWT({ sub })
    .setProtectedHeader({ alg: "HS256" })
    .setExpirationTime("1h")
    .sign(new TextEncoder().encode(SECRET));
}

// biome-ignore lint/suspicious/noExplicitAny: tests look into answers freely
async function call(token: string, method: string, path: string, body?: unknown, headers = {}): Promise<any> {
  const answer = await fetch(`${product.url}/api/v1/${path}`, {
    method,
    headers: { "client-id": "shared-name", authorization: `Bearer ${token}`, ...headers },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  const text = await answer.text();
  return { status: answer.status, ...(text.startsWith("{") ? JSON.parse(text) : {}) };
}

/** Sends bytes as they are and gives what comes back until the other side closes, or for a second. */
function raw(bytes: string | Buffer, waitMs = 1000): Promise<string> {
  return new Promise((resolve) => {
    const { hostname, port } = new URL(product.url);
    let received = "";
    const socket = connect(Number(port), hostname, () => socket.write(bytes));
    const finish = () => {
      socket.destroy();
      resolve(received);
    };
    socket.setTimeout(waitMs, finish);
    socket.on("data", (piece) => {
      received += piece.toString("latin1");
    });
    socket.on("error", finish);
    socket.on("close", finish);
  });
}

/** After each attack the victim's session must answer, with its state. */
async function expectUnharmed(): Promise<void> {
  expect(await victim.value("kept")).toBe("secret of the victim");
}

const openAs = (token: string, clientId: string) =>
  SocketClient.open(product.socketUrl, { clientId, headers: { authorization: `Bearer ${token}` } });

beforeAll(async () => {
  product = await startProduct({ JWT_SECRET: SECRET });
  mallory = await tokenOf("mallory");
  victim = await openAs(await tokenOf("victim"), "shared-name");
  await victim.run("kept = 'secret of the victim'", { id: "victims-run" });
  victim.send({ type: "checkpoint", id: "ck", name: "victims" });
  await victim.until((frame) => frame.type === "checkpoint_created");
});
afterAll(async () => {
  await victim?.close();
  await product?.stop();
});

it("shows nothing of another tenant who uses the same client id, and does not say that it exists", async () => {
  const checkpoint = victim.frames.find((frame) => frame.type === "checkpoint_created")?.checkpoint_id ?? "";
  const unknown = await call(mallory, "GET", "executions/never-was");
  for (const [method, path, body] of [
    ["GET", "executions/victims-run"],
    ["GET", "executions/victims-run/events"],
    ["POST", "executions/victims-run/cancel"],
    ["POST", "executions/victims-run/input", { input_id: "x", value: "y" }],
    ["GET", `checkpoints/${checkpoint}`],
    ["DELETE", `checkpoints/${checkpoint}`],
    ["POST", `restore/${checkpoint}`],
  ] as const) {
    const answer = await call(mallory, method, path, body);
    expect([answer.status, answer.code], path).toEqual([404, "not_found"]);
  }
  expect(unknown.code).toBe("not_found");
  expect((await call(mallory, "GET", "executions")).executions).toEqual([]);
  expect((await call(mallory, "GET", "checkpoints")).checkpoints).toEqual([]);
  const seen = await call(mallory, "POST", "execute?wait=10", { code: "'kept' in globals()" });
  expect(seen.result.value).toBe(false);
  const socket = await openAs(mallory, "shared-name");
  socket.send({ type: "attach", after: 0 });
  await socket.until((frame) => frame.type === "attached");
  expect(JSON.stringify(socket.frames)).not.toContain("victim");
  await socket.close();
  await expectUnharmed();
});

it("does not let another tenant, or another client of the same one, answer an input", async () => {
  victim.send({ type: "execute", id: "asking", code: "input('key? ')" });
  const prompt = await victim.until((frame) => frame.type === "input");
  const sameTenant = await openAs(await tokenOf("victim"), "another-name");
  for (const socket of [await openAs(mallory, "shared-name"), sameTenant]) {
    socket.send({ type: "input_response", id: "stolen", input_id: prompt.data.input_id, value: "forged" });
    const problem = await socket.until((frame) => frame.type === "problem");
    expect(problem).toMatchObject({ id: "stolen", data: { code: "not_found" } });
    await socket.close();
  }
  victim.send({ type: "input_response", input_id: prompt.data.input_id, value: "mine" });
  expect(
    (await victim.until((frame) => frame.type === "result" && frame.data.execution_id === "asking")).data.value,
  ).toBe("mine");
});

it("asks everyone for a token, on every call and on the WebSocket", async () => {
  for (const path of ["execute", "executions", "session", "sessions", "checkpoints", "capabilities", "nowhere"]) {
    const answer = await fetch(`${product.url}/api/v1/${path}`, { headers: { "client-id": "shared-name" } });
    expect(answer.status, path).toBe(401);
    await answer.body?.cancel();
  }
  await expect(SocketClient.open(product.socketUrl, { clientId: "shared-name" })).rejects.toThrow(/401/);
  await expect(
    SocketClient.open(product.socketUrl, {
      clientId: "shared-name",
      headers: { authorization: `Bearer ${mallory}`, origin: "https://evil.test" },
    }),
  ).rejects.toThrow(/403/);
});

it("does not take a forged identity from headers that are its own", async () => {
  const socket = await SocketClient.open(product.socketUrl, {
    clientId: "mallorys",
    headers: {
      authorization: `Bearer ${mallory}`,
      "x-pyrepl-tenant": "victim",
      "x-pyrepl-client-id": "shared-name",
      "x-pyrepl-session": "default",
    },
  });
  socket.send({ type: "attach", after: 0 });
  expect((await socket.until((frame) => frame.type === "attached")).data.client_id).toBe("mallorys");
  expect(socket.frames.length).toBe(1);
  await socket.close();
});

it("refuses the runner's and the edge's inner calls without their secret", async () => {
  for (const [path, method] of [
    ["/v1/capabilities", "GET"],
    ["/v1/sessions/guess/link", "GET"],
    ["/v1/sessions/guess", "DELETE"],
    ["/v1/sessions/guess/checkpoints/x", "GET"],
  ] as const) {
    for (const headers of [{}, { authorization: `Bearer ${mallory}` }, { authorization: "Bearer " }]) {
      expect((await fetch(`${product.runnerUrl}${path}`, { method, headers })).status, path).toBe(401);
    }
  }
  await expect(
    SocketClient.open(`${product.runnerUrl.replace("http", "ws")}/v1/sessions/guess/link`),
  ).rejects.toThrow();
  for (const path of ["/internal/v1/heartbeat", "/internal/v1/ring"]) {
    const answer = await fetch(`${product.url}${path}`, {
      method: "POST",
      headers: { authorization: `Bearer ${mallory}` },
    });
    expect(answer.status).toBe(401);
  }
  await expectUnharmed();
});

it("survives HTTP that is none", async () => {
  const host = new URL(product.url).host;
  const head = `Host: ${host}\r\nauthorization: Bearer ${mallory}\r\nclient-id: a\r\n`;
  for (const bytes of [
    "\x00\x01\x02\x03",
    "GET\r\n\r\n",
    `GET /${"a".repeat(100_000)} HTTP/1.1\r\n${head}\r\n`,
    `GET / HTTP/1.1\r\n${head}x: ${"y".repeat(200_000)}\r\n\r\n`,
    `GET /%00%0d%0aset-cookie:x HTTP/1.1\r\n${head}\r\n`,
    `GET /../../etc/passwd HTTP/1.1\r\n${head}\r\n`,
    `GET http://169.254.169.254/latest/meta-data HTTP/1.1\r\n${head}\r\n`,
    `POST /api/v1/execute HTTP/1.1\r\n${head}content-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\nGET /health HTTP/1.1\r\n\r\n`,
    `POST /api/v1/execute HTTP/1.1\r\n${head}content-length: -1\r\n\r\n`,
    `POST /api/v1/execute HTTP/1.1\r\n${head}transfer-encoding: chunked\r\n\r\nffffffffffffffff\r\n`,
    `GET /api/v1/session HTTP/1.1\r\n${head}client-id: b\r\nclient-id: c\r\n\r\n`,
  ]) {
    const answer = await raw(bytes, 500);
    expect(answer, bytes.slice(0, 60)).not.toMatch(/^HTTP\/1\.1 2|^set-cookie|\.ts|node_modules/im);
  }
  await expectUnharmed();
});

it("reads no more of a body than it may have, whatever it says of its length", async () => {
  for (const size of [2 * MIB, 12 * MIB]) {
    const declared = await call(mallory, "POST", "execute", { code: "x".repeat(size) });
    expect([declared.status, declared.code]).toEqual([413, "payload_too_large"]);
  }
  let sent = 0;
  const endless = new ReadableStream<Uint8Array>({
    pull(controller) {
      sent += 64 * 1024;
      if (sent > 200 * MIB) controller.close();
      else controller.enqueue(new Uint8Array(64 * 1024).fill(32));
    },
  });
  const answer = await fetch(`${product.url}/api/v1/execute`, {
    method: "POST",
    headers: { "client-id": "a", authorization: `Bearer ${mallory}` },
    body: endless,
    duplex: "half",
  } as RequestInit).then(
    (response) => response.status,
    () => 413,
  );
  expect(answer).toBe(413);
  expect(sent).toBeLessThan(200 * MIB);
  const deep = await fetch(`${product.url}/api/v1/execute`, {
    method: "POST",
    headers: { "client-id": "a", authorization: `Bearer ${mallory}` },
    body: `${"[".repeat(MIB)}`,
  });
  // Each bracket counts as a value, and a body may have 200,000.
  expect(deep.status).toBe(413);
  await deep.body?.cancel();
  await expectUnharmed();
});

it("answers odd frames with problems, and goes on", async () => {
  const socket = await openAs(mallory, "odd-frames");
  const odd = [
    "",
    "null",
    "[]",
    "7",
    '"execute"',
    "{",
    "{}",
    '{"type":null}',
    '{"type":["execute"]}',
    '{"type":"__proto__"}',
    '{"type":"constructor"}',
    '{"type":"execute","code":{"toString":"x"}}',
    '{"__proto__":{"type":"execute","code":"1"}}',
    '{"type":"execute","code":"1","timeout":1e999}',
    '{"type":"attach","after":9007199254740993}',
    '{"type":"ack","seq":"1"}',
    `{"type":"ping","id":"${"i".repeat(200)}"}`,
    "[".repeat(100_000),
    `{"type":"execute","code":${"[".repeat(50_000)}}`,
  ];
  for (const frame of odd) {
    socket.socket.send(frame);
    const answer = await socket.next();
    expect([answer.type, answer.data.code], frame.slice(0, 60)).toEqual(["problem", "invalid_request"]);
  }
  socket.socket.send(Buffer.from([0, 1, 2, 255]), { binary: true });
  expect((await socket.next()).type).toBe("problem");
  expect(await socket.value("1 + 1")).toBe(2);
  await socket.close();
  await expectUnharmed();
});

it("bounds huge, fragmented and compressed frames", async () => {
  for (const send of [
    (socket: WebSocket) => socket.send(`{"type":"execute","code":"${"x".repeat(3 * MIB)}"}`),
    (socket: WebSocket) => socket.send(`{"type":"execute","code":"${" ".repeat(30 * MIB)}"}`, { compress: true }),
    (socket: WebSocket) => {
      for (let part = 0; part < 64; part += 1) socket.send(" ".repeat(MIB / 4), { fin: part === 63 });
    },
  ]) {
    const client = await openAs(mallory, "huge-frames");
    send(client.socket);
    // Either a problem, or the connection is closed; never silence.
    const outcome = await Promise.race([
      client.next().then((frame) => frame.data.code as string),
      new Promise<string>((resolve) => client.socket.once("close", () => resolve("closed"))),
    ]);
    expect(["payload_too_large", "invalid_request", "closed"]).toContain(outcome);
    client.socket.terminate();
  }
  await expectUnharmed();
});

it("answers others while one client sends 100,000 messages", async () => {
  const flooded = await startProduct({ RATE_LIMIT_PER_SECOND: "50", RATE_LIMIT_BURST: "100" });
  try {
    const flood = await SocketClient.open(flooded.socketUrl, { clientId: "flood", checked: false });
    const calm = await SocketClient.open(flooded.socketUrl, { clientId: "calm" });
    await calm.run("x = 1");
    for (let index = 0; index < 100_000; index += 1)
      flood.socket.send(`{"type":"is_complete","id":"${index}","code":"1"}`);
    const startedAt = Date.now();
    for (let index = 0; index < 10; index += 1) expect(await calm.value("x")).toBe(1);
    expect(Date.now() - startedAt).toBeLessThan(30_000);
    const refused = await flood.until((frame) => frame.type === "problem");
    expect(refused.data).toMatchObject({ code: "rate_limited", status: 429 });
    expect(refused.data.retry_after).toBeGreaterThan(0);
    flood.socket.terminate();
    expect(await calm.value("x")).toBe(1);
    await calm.close();
  } finally {
    await flooded.stop();
  }
});

it("answers others while 300 connections are opened and never used", async () => {
  const { hostname, port } = new URL(product.url);
  const idle: Socket[] = [];
  for (let index = 0; index < 300; index += 1) {
    const socket = connect(Number(port), hostname);
    socket.on("error", () => socket.destroy());
    socket.write(
      index % 2 === 0 ? "GET / HT" : `POST /api/v1/execute HTTP/1.1\r\nHost: x\r\ncontent-length: 1000\r\n\r\n{`,
    );
    idle.push(socket);
  }
  await expectUnharmed();
  expect((await fetch(`${product.url}/health`)).status).toBe(200);
  for (const socket of idle) socket.destroy();
  await expectUnharmed();
});

it("writes no line into its log that a caller has made, and no code, output or token", async () => {
  const forged = 'x"}\n{"level":60,"msg":"forged"}';
  await call(mallory, "POST", "execute?wait=10", {
    code: `print(${JSON.stringify("printed words")})\n# ${forged}`,
    id: "ok",
  });
  await call(mallory, "POST", "execute", { code: 1, [forged]: forged });
  await call(mallory, "GET", `executions/${encodeURIComponent(forged)}`);
  await call(mallory, "GET", "session", undefined, { "user-agent": "forged agent", "x-request-id": "forged-id" });
  await expectUnharmed();
  expect(product.log()).not.toMatch(/forged|printed words|secret of the victim/);
  expect(product.log()).not.toContain(mallory);
  expect(product.log()).not.toContain(SECRET);
});
