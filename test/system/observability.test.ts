/** One request seen everywhere: its spans at a collector, its id in the logs of edge and runner, and every metric that dashboard and alerts use. */
import { readFileSync } from "node:fs";
import { createServer, type IncomingMessage, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, beforeAll, expect, it } from "vitest";
import { testPython } from "../../scripts/python-tests.ts";
import { runStep } from "../../scripts/run-step.ts";
import { connect } from "../../src/client/index.ts";
import { type Product, startProduct } from "../support/product.ts";
import { SocketClient } from "../support/socket-client.ts";

const RUNNER_TOKEN = "r".repeat(32);
const METRICS_TOKEN = "m".repeat(32);
const TRACE = "0af7651916cd43dd8448eb211c80319c";

interface Span {
  service: string;
  name: string;
  traceId: string;
  spanId: string;
  parentSpanId?: string;
  attributes: Record<string, unknown>;
}

const spans: Span[] = [];
const keys: unknown[] = [];
let collector: Server;
let product: Product;

async function collect(request: IncomingMessage): Promise<void> {
  let text = "";
  for await (const piece of request) text += piece;
  keys.push(request.headers["x-key"]);
  const plain = (list: { key: string; value: Record<string, unknown> }[]) =>
    Object.fromEntries(list.map(({ key, value }) => [key, Object.values(value)[0]]));
  for (const { resource, scopeSpans } of JSON.parse(text).resourceSpans) {
    const service = String(plain(resource.attributes)["service.name"]);
    for (const span of scopeSpans[0].spans) spans.push({ ...span, service, attributes: plain(span.attributes) });
  }
}

/** Waits for one run in each of these traces. */
async function expectRunsOf(digits: string[]): Promise<void> {
  const found = () =>
    digits.filter((digit) => spans.some(({ name, traceId }) => name === "run" && traceId === digit.repeat(32)));
  await expect.poll(found, { timeout: 30_000, interval: 200 }).toEqual(digits);
}

beforeAll(async () => {
  collector = createServer((request, response) => {
    void collect(request).then(() => response.end("{}"));
  });
  await new Promise<void>((resolve) => collector.listen(0, "127.0.0.1", resolve));
  product = await startProduct({
    RUNNER_TOKEN,
    METRICS_TOKEN,
    OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${(collector.address() as AddressInfo).port}/`,
    OTEL_EXPORTER_OTLP_HEADERS: "x-key=a%20secret",
    LOG_LEVEL: "debug",
    LOG_FORMAT: "json",
    POOL_MIN_IDLE: "1",
  });
});
afterAll(async () => {
  await product?.stop();
  collector?.closeAllConnections();
  collector?.close();
});

it("follows one request from the client through edge and runner", async () => {
  const requestId = "seen-everywhere-1";
  const answer = await fetch(`${product.url}/api/v1/execute?wait=30`, {
    method: "POST",
    headers: { "client-id": "traced", "x-request-id": requestId, traceparent: `00-${TRACE}-b7ad6b7169203331-01` },
    body: JSON.stringify({ code: "6 * 7" }),
  });
  expect([answer.status, answer.headers.get("x-request-id")]).toEqual([200, requestId]);
  const ofTrace = () => spans.filter((span) => span.traceId === TRACE);
  const names = () => ofTrace().map(({ service, name }) => `${service.slice("pyrepl3-".length)}: ${name}`);
  const wanted = ["edge: POST", "edge: execution", "edge: start interpreter", "runner: open session", "runner: run"];
  await expect.poll(() => names().sort(), { timeout: 30_000, interval: 200 }).toEqual(wanted);
  const find = (name: string) => ofTrace().find((span) => span.name === name);
  const parents = ["POST", "execution", "run", "start interpreter", "open session"].map(
    (name) => find(name)?.parentSpanId,
  );
  const post = find("POST")?.spanId;
  expect(parents).toEqual([
    "b7ad6b7169203331",
    post,
    find("execution")?.spanId,
    post,
    find("start interpreter")?.spanId,
  ]);
  for (const name of ["POST", "execution", "run"]) {
    expect(find(name)?.attributes["pyrepl.request_id"], name).toBe(requestId);
  }
  expect(new Set(keys)).toEqual(new Set(["a secret"]));
  const lines = product.log().split("\n");
  expect(lines.some((line) => line.includes(`"request_id":"${requestId}"`) && line.includes("runner-1"))).toBe(true);
});

it("begins a trace for a message on a socket, or goes on with that of the message", async () => {
  const client = await SocketClient.open(product.socketUrl, { clientId: "on-socket" });
  const traceId = "1".repeat(32);
  await client.run("1", { id: "own", traceparent: `00-${traceId}-${"2".repeat(16)}-01` });
  const run = () => spans.find((span) => span.name === "run" && span.traceId === traceId);
  await expect.poll(run, { timeout: 30_000, interval: 200 }).toBeDefined();
  await client.run("2", { id: "unsampled", traceparent: `00-${"3".repeat(32)}-${"2".repeat(16)}-00` });
  await client.run("3", { id: "none" });
  const last = () => spans.some((span) => span.attributes["pyrepl.execution_id"] === "none" && span.name === "run");
  await expect.poll(last, { timeout: 30_000, interval: 200 }).toBe(true);
  expect(spans.some((span) => span.attributes["pyrepl.execution_id"] === "unsampled")).toBe(false);
  await client.close();
});

const traceOf = (digit: string) => `00-${digit.repeat(32)}-${"2".repeat(16)}-01`;

it("goes on with the trace that the TypeScript client gives", async () => {
  const onSocket = connect({ url: product.url, traceparent: () => traceOf("4") });
  await onSocket.run("1");
  await onSocket.run("2", { traceparent: traceOf("5") });
  onSocket.close();
  await connect({ url: product.url, WebSocket: null }).run("3", { traceparent: traceOf("6") });
  await expectRunsOf(["4", "5", "6"]);
});

it("goes on with the trace that the Python clients give", async () => {
  const code = `
import asyncio, sys
from pyrepl3 import AsyncClient, Client
url, first, second, third = sys.argv[1:]
with Client(url, traceparent=lambda: first) as client:
    client.run("1")
    client.run("2", traceparent=second)
async def main():
    async with AsyncClient(url, transport="rest", traceparent=third) as client:
        await client.run("3")
asyncio.run(main())
`;
  const { exitCode, printed } = await runStep(
    testPython(),
    ["-c", code, product.url, traceOf("7"), traceOf("8"), traceOf("9")],
    { env: { ...process.env, PYTHONPATH: "src/client-python", PYTHONDONTWRITEBYTECODE: "1" } },
  );
  expect(exitCode, printed).toBe(0);
  await expectRunsOf(["7", "8", "9"]);
});

it("has every metric that the dashboard and the alerts use", async () => {
  const read = async (url: string) => {
    const answer = await fetch(`${url}/metrics`, { headers: { authorization: `Bearer ${METRICS_TOKEN}` } });
    expect(answer.status).toBe(200);
    return answer.text();
  };
  const text = (await read(product.url)) + (await read(product.runnerUrl));
  const known = new Set([...text.matchAll(/^# TYPE (\S+)/gm)].map((match) => match[1]));
  const files = ["deploy/observability/grafana-dashboard.json", "deploy/observability/alerts.yaml"];
  for (const file of files) {
    const used = readFileSync(file, "utf8").match(/\b(?:pyrepl|process)_[a-z_]+/g) ?? [];
    const missing = used.filter((name) => !known.has(name) && !known.has(name.replace(/_(?:bucket|sum|count)$/, "")));
    expect(missing, file).toEqual([]);
    expect(used.length).toBeGreaterThan(5);
  }
  expect((await fetch(`${product.runnerUrl}/metrics`)).status).toBe(401);
});
