/** Bulk output against clients of every kind: whole and in order, or bounded and announced; never unbounded memory. */
import { createHash } from "node:crypto";
import { afterAll, beforeAll, expect, it } from "vitest";
import { findProcesses, residentBytes, watchMemory } from "../support/processes.ts";
import { type Product, startProduct } from "../support/product.ts";
import { type Frame, SocketClient, textOf } from "../support/socket-client.ts";

const MIB = 1024 * 1024;
let product: Product;

beforeAll(async () => {
  product = await startProduct();
});
afterAll(async () => {
  await product?.stop();
});

/** Edge, runner and their starter; not the interpreters. */
function servers(): number[] {
  return [...findProcesses(product.pid, "workerd"), ...findProcesses(product.pid, "main.ts"), product.pid];
}

it("brings 100 MB whole and in order to an acknowledging client, in bounded memory", async () => {
  const client = await SocketClient.open(product.socketUrl, { clientId: "bulk", checked: false });
  client.send({ type: "attach", window: 4 * MIB });
  await client.until((frame) => frame.type === "attached");
  await client.run("import hashlib\nline = ''.join(chr(33 + i % 90) for i in range(999)) + '\\n'");
  const memory = watchMemory(servers());
  const hash = createHash("sha256");
  let bytes = 0;
  let unacknowledged = 0;
  client.send({
    type: "execute",
    id: "bulk",
    timeout: 120,
    code: "h = hashlib.sha256()\nfor i in range(100_000):\n    text = f'{i:08d}' + line[8:]\n    h.update(text.encode())\n    print(text, end='')\nh.hexdigest()",
  });
  let terminal: Frame | undefined;
  while (terminal === undefined) {
    const frame = await client.next(60_000);
    if (frame.type === "output") {
      hash.update(frame.data.data);
      bytes += frame.data.data.length;
      unacknowledged += frame.data.data.length;
      frame.data.data = "";
      if (unacknowledged > MIB) {
        client.send({ type: "ack", seq: frame.seq });
        unacknowledged = 0;
      }
    }
    if (frame.type === "result" || frame.type === "error") terminal = frame;
  }
  expect(terminal.data.value).toBe(hash.digest("hex"));
  expect(bytes).toBe(100_000_000);
  const { peakGrowth, command } = memory.stop();
  console.log(`100 MB: peak growth ${(peakGrowth / MIB).toFixed(0)} MiB (${command})`);
  // V8 keeps up to 48 MiB of strings that live for a moment before it collects them; the output itself has 95 MiB.
  expect(peakGrowth).toBeLessThan(88 * MIB);
  await client.close();
}, 180_000);

it("stops Python, not the service, when an acknowledging client stops reading", async () => {
  const client = await SocketClient.open(product.socketUrl, { clientId: "stopped", checked: false });
  client.send({ type: "attach", window: MIB });
  await client.until((frame) => frame.type === "attached");
  const memory = watchMemory(servers());
  client.send({ type: "execute", id: "flood", timeout: 4, code: "while True: print('x' * 1000)" });
  const other = await SocketClient.open(product.socketUrl, { clientId: "neighbour" });
  for (let count = 0; count < 50; count += 1) expect(await other.value(`${count}`)).toBe(count);
  const got = () =>
    client.frames.filter((frame) => frame.type === "output").reduce((sum, frame) => sum + frame.data.data.length, 0);
  await client.until((frame) => frame.type === "output");
  // The execution ends by its timeout although nobody reads; the ending comes once the window opens.
  const pump = setInterval(() => {
    const seq = client.frames.findLast((frame) => frame.seq !== undefined)?.seq;
    if (Date.now() > started + 5000) client.send({ type: "ack", seq });
  }, 20);
  const started = Date.now();
  const terminal = await client.until((frame) => frame.type === "error", 60_000);
  clearInterval(pump);
  expect(terminal.data.reason).toBe("timeout");
  expect(memory.stop().peakGrowth).toBeLessThan(64 * MIB);
  expect(got()).toBeGreaterThan(0);
  expect(await other.value("'still here'")).toBe("still here");
  await client.close();
  await other.close();
}, 120_000);

it("announces what a client that never acknowledges was not sent, and keeps the tail readable", async () => {
  const clientId = "silent";
  const client = await SocketClient.open(product.socketUrl, { clientId, checked: false });
  const events = await client.run(
    "for i in range(20_000): print('z' * 999)\n'end'",
    { id: "big", timeout: 60 },
    60_000,
  );
  expect(events.at(-1)?.data.value).toBe("end");
  const truncated = events.filter((event) => event.type === "output_truncated");
  expect(truncated.length).toBe(1);
  expect(textOf(events).length + truncated[0]?.data.dropped_bytes).toBe(20_000_000);
  const execution = (await (
    await fetch(`${product.url}/api/v1/executions/big`, { headers: { "client-id": clientId } })
  ).json()) as { output_truncated: boolean; stdout: string };
  expect(execution.output_truncated).toBe(true);
  expect(execution.stdout.length).toBeGreaterThan(8 * MIB);
  expect(execution.stdout.endsWith("z\n")).toBe(true);
  const late = await SocketClient.open(product.socketUrl, { clientId, checked: false });
  late.send({ type: "attach", after: 0, window: 64 * MIB });
  const attached = await late.until((frame) => frame.type === "attached", 30_000);
  expect(attached.data.first_seq).toBeGreaterThan(1);
  expect(late.frames.some((frame) => frame.type === "gap")).toBe(true);
  expect(late.frames.filter((frame) => frame.type === "result").length).toBe(1);
  await client.close();
  await late.close();
}, 120_000);

const GIGABYTE = "block = 'g' * 999_999 + '\\n'\nfor i in range(1000): print(block, end='')\n'whole'";

it("stays small while 1 GB is printed to a client that acknowledges, and brings it whole", async () => {
  const client = await SocketClient.open(product.socketUrl, { clientId: "gigabyte-reader", checked: false });
  client.send({ type: "attach", window: 4 * MIB });
  await client.until((frame) => frame.type === "attached");
  const memory = watchMemory(servers());
  client.send({ type: "execute", id: "read", timeout: 200, code: GIGABYTE });
  let bytes = 0;
  let unacknowledged = 0;
  const terminal = await client.until((frame) => {
    if (frame.type === "output") {
      bytes += frame.data.data.length;
      unacknowledged += frame.data.data.length;
      frame.data.data = "";
      if (unacknowledged > MIB) {
        client.send({ type: "ack", seq: frame.seq });
        unacknowledged = 0;
      }
    }
    return frame.type === "result" || frame.type === "error";
  }, 200_000);
  expect(terminal.data.value).toBe("whole");
  expect(bytes).toBe(1_000_000_000);
  const { peakGrowth, command } = memory.stop();
  console.log(`1 GB acknowledged: peak growth ${(peakGrowth / MIB).toFixed(0)} MiB (${command})`);
  expect(peakGrowth).toBeLessThan(150 * MIB);
  await client.close();
}, 240_000);

it("stays small while 1 GB is printed to a client that never reads", async () => {
  const client = await SocketClient.open(product.socketUrl, { clientId: "gigabyte-deaf", checked: false });
  client.send({ type: "execute", id: "deaf", timeout: 200, code: GIGABYTE });
  await client.until((frame) => frame.type === "output");
  client.socket.pause();
  const memory = watchMemory(servers());
  // The session's overview is small; the execution itself would bring 16 MB of output along.
  const isRunning = async () => {
    const answer = await fetch(`${product.url}/api/v1/session`, { headers: { "client-id": "gigabyte-deaf" } });
    return ((await answer.json()) as { running: string | null }).running !== null;
  };
  while (await isRunning()) await new Promise((resolve) => setTimeout(resolve, 200));
  const { peakGrowth, command } = memory.stop();
  console.log(`1 GB to a deaf client: peak growth ${(peakGrowth / MIB).toFixed(0)} MiB (${command})`);
  expect(peakGrowth).toBeLessThan(150 * MIB);
  client.cut();
}, 240_000);

it("stays small while 1 GB is printed to nobody", async () => {
  const headers = { "client-id": "nobody", "content-type": "application/json" };
  const before = new Map(servers().map((pid) => [pid, residentBytes(pid)]));
  const memory = watchMemory([...before.keys()]);
  const body = JSON.stringify({ id: "gigabyte", timeout: 120, code: GIGABYTE });
  const answer = await fetch(`${product.url}/api/v1/execute`, { method: "POST", headers, body });
  expect(answer.status).toBe(202);
  // Sending the same id again waits for the same execution without reading its output.
  const again = () =>
    fetch(`${product.url}/api/v1/execute?wait=60`, { method: "POST", headers, body }).then((response) =>
      response.json(),
    );
  let execution = (await again()) as { status: string; result: { value: string } | null; error: unknown };
  while (execution.status === "running") execution = (await again()) as typeof execution;
  expect(execution.error).toBeNull();
  expect(execution.result?.value).toBe("whole");
  const { peakGrowth, command } = memory.stop();
  console.log(`1 GB to nobody: peak growth ${(peakGrowth / MIB).toFixed(0)} MiB (${command})`);
  expect(peakGrowth).toBeLessThan(150 * MIB);
}, 180_000);

it("brings 300,000 characters that were flushed one by one to a client that does not acknowledge, in few frames", async () => {
  const client = await SocketClient.open(product.socketUrl, { clientId: "tiny-flushes" });
  const code = "import sys\nfor i in range(300_000): n = sys.stdout.write('.'); sys.stdout.flush()";
  const events = await client.run(code, { timeout: 60 }, 90_000);
  expect(events.at(-1)?.type).toBe("result");
  expect(textOf(events)).toBe(".".repeat(300_000));
  expect(events.length).toBeLessThanOrEqual(5_000);
  await client.close();
}, 120_000);

it("leaves a neighbour and the heartbeats alone while others display and print without end", async () => {
  const storms = ["while True: display(1)", "while True: print(1, flush=True)"];
  const clients = await Promise.all(
    storms.map(async (code, index) => {
      const client = await SocketClient.open(product.socketUrl, { clientId: `storm-${index}`, checked: false });
      client.send({ type: "execute", id: `storm-${index}`, timeout: 8, code });
      return client;
    }),
  );
  const neighbour = await SocketClient.open(product.socketUrl, { clientId: "beside-storms" });
  for (let count = 0; count < 100; count += 1) expect(await neighbour.value(`${count}`)).toBe(count);
  for (const client of clients) {
    const terminal = await client.until((frame) => frame.type === "error", 60_000);
    expect(terminal.data.reason).toBe("timeout");
    // What reaches a client that does not acknowledge is bounded, however much the code prints.
    const displays = client.frames.filter((frame) => frame.type === "display");
    expect(displays.reduce((bytes, frame) => bytes + JSON.stringify(frame).length, 0)).toBeLessThan(9 * MIB);
    expect(client.frames.filter((frame) => frame.type === "output_truncated").length).toBeLessThanOrEqual(1);
    await client.close();
  }
  expect(await neighbour.value("'still here'")).toBe("still here");
  expect(product.log()).not.toContain("does not accept heartbeats");
  await neighbour.close();
}, 120_000);
