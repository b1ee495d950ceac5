/** Kills and cuts whatever can die, in the middle of executions: one terminal message each, nothing run twice, nothing lost that was said. */
import { afterEach, expect, it } from "vitest";
import { findProcesses } from "../support/processes.ts";
import { type Product, startProduct } from "../support/product.ts";
import { type Frame, SocketClient, textOf } from "../support/socket-client.ts";

const MIB = 1024 * 1024;
let product: Product;
afterEach(async () => {
  await product?.stop();
});

const terminals = (frames: Frame[]) => frames.filter((frame) => frame.type === "result" || frame.type === "error");

async function execution(clientId: string, id: string) {
  const answer = await fetch(`${product.url}/api/v1/executions/${id}`, { headers: { "client-id": clientId } });
  return (await answer.json()) as { status: string; error: { reason: string; state: string } | null; stdout: string };
}

it("gives identical bytes to a client that is cut off again and again while 10 MB are printed", async () => {
  product = await startProduct();
  const clientId = "cut";
  let after = 0;
  let text = "";
  let seen = 0;
  let terminal: Frame | undefined;
  let cuts = 0;
  const starter = await SocketClient.open(product.socketUrl, { clientId, checked: false });
  starter.send({
    type: "execute",
    id: "ten",
    timeout: 200,
    // Each pause is longer than the runner joins pieces for, so that there are more events than cuts take.
    code: "import time\nfor i in range(10_000):\n    print(f'{i:06d}' + 'p' * 993)\n    if i % 20 == 0: time.sleep(0.025)\n'all'",
  });
  starter.cut();
  const abandoned: SocketClient[] = [];
  /** Takes up to `limit` events; the client's own account of what it has is `after`. */
  const take = async (client: SocketClient, limit: number) => {
    for (let taken = 0; taken < limit && terminal === undefined; ) {
      const frame = await client.next(20_000);
      if (frame.seq === undefined) continue;
      expect(frame.seq).toBeGreaterThan(after);
      after = frame.seq;
      seen += 1;
      taken += 1;
      if (frame.type === "output") text += frame.data.data;
      if (frame.type === "result" || frame.type === "error") terminal = frame;
      client.send({ type: "ack", seq: after });
    }
  };
  while (terminal === undefined) {
    const client = await SocketClient.open(product.socketUrl, { clientId, checked: false });
    client.send({ type: "attach", after, window: MIB });
    const kind = cuts >= 1000 ? "to the end" : (["mid-frame", "half-open", "after one event"] as const)[cuts % 3];
    if (kind === "to the end") await take(client, Number.POSITIVE_INFINITY);
    if (kind === "after one event") await take(client, 1);
    if (kind === "half-open") {
      // It neither reads nor goes away: the service has to find out by itself.
      client.socket.pause();
      abandoned.push(client);
      if (abandoned.length > 20) abandoned.shift()?.cut();
    } else {
      client.cut();
    }
    cuts += 1;
  }
  for (const client of abandoned) client.cut();
  console.log(`${cuts} cuts, ${seen} events`);
  // A busy runner joins more pieces, so there are fewer events to cut between.
  expect(cuts).toBeGreaterThan(300);
  expect((terminal as Frame).data.value).toBe("all");
  expect(text.length).toBe(10_000_000);
  const lines = text.trimEnd().split("\n");
  expect(lines.every((line, index) => line.startsWith(String(index).padStart(6, "0")))).toBe(true);
}, 240_000);

it("ends what ran with runner_lost when the runner is killed, and goes on above the old numbers", async () => {
  product = await startProduct({ SESSION_IDLE_SECONDS: "600" });
  const clientId = "lost";
  const client = await SocketClient.open(product.socketUrl, { clientId });
  await client.run("x = 5");
  client.send({ type: "checkpoint" });
  const checkpoint = await client.until((frame) => frame.type === "checkpoint_created");
  await client.run("x = 6", { id: "after-checkpoint" });
  client.send({
    type: "execute",
    id: "victim",
    code: "print('cut here', flush=True)\nimport time; time.sleep(100)",
    timeout: 120,
  });
  client.send({ type: "execute", id: "waiting", code: "x = 7" });
  const output = await client.until((frame) => frame.type === "output");
  const [runner] = findProcesses(product.pid, "worker-runner/main.ts");
  process.kill(runner as number, "SIGKILL");
  const lost = await client.until((frame) => frame.type === "error" && frame.data.execution_id === "victim", 60_000);
  expect(lost.data.reason).toBe("runner_lost");
  expect(lost.seq).toBeGreaterThan(output.seq as number);
  expect(lost.data).toMatchObject({ state: "restored", state_checkpoint_id: expect.any(String) });
  await client.until((frame) => frame.type === "error" && frame.data.execution_id === "waiting", 60_000);
  const value = await client.value("x");
  expect(lost.data.state_checkpoint_id === checkpoint.checkpoint_id ? 5 : 6).toBe(value);
  expect(
    terminals(client.frames)
      .map((frame) => frame.data.execution_id)
      .filter((id) => id === "victim").length,
  ).toBe(1);
  expect((await execution(clientId, "victim")).status).toBe("lost");
  expect((await execution(clientId, "victim")).stdout).toBe("cut here\n");
  await client.close();
}, 120_000);

it("survives a SIGKILL of the whole program: acknowledged work is there, unfinished work ends once", async () => {
  product = await startProduct();
  const clientId = "crash";
  const client = await SocketClient.open(product.socketUrl, { clientId });
  await client.run("print('kept output')\nx = 1", { id: "done" });
  client.send({ type: "checkpoint" });
  await client.until((frame) => frame.type === "checkpoint_created");
  const lastSeq = Math.max(...client.frames.map((frame) => frame.seq ?? 0));
  client.send({
    type: "execute",
    id: "cut",
    code: "print('going', flush=True)\nimport time; time.sleep(100)",
    timeout: 200,
  });
  await client.until((frame) => frame.type === "output" && frame.data.execution_id === "cut");
  const { stateDir } = product;
  await product.kill();
  product = await startProduct({}, { stateDir });
  const again = await SocketClient.open(product.socketUrl, { clientId });
  again.send({ type: "attach", after: 0 });
  await again.until((frame) => frame.type === "attached", 60_000);
  expect(textOf(again.frames.filter((frame) => frame.data.execution_id === "done"))).toBe("kept output\n");
  const value = await again.value("x");
  expect(value).toBe(1);
  const ends = terminals(again.frames).filter((frame) => frame.data.execution_id === "cut");
  expect(ends.length).toBeLessThanOrEqual(1);
  for (const end of ends) expect(end.data.reason).toBe("runner_lost");
  const seqs = again.frames.flatMap((frame) => frame.seq ?? []);
  expect(seqs).toEqual([...new Set(seqs)].sort((a, b) => a - b));
  expect(seqs.at(-1)).toBeGreaterThan(lastSeq);
  await again.close();
}, 180_000);

it("finds its sessions again after Ctrl-C and a new start", async () => {
  product = await startProduct();
  const clientId = "restart";
  const client = await SocketClient.open(product.socketUrl, { clientId });
  await client.run(
    "import math\nvalues = {'a': [1, 2]}\nalias = values['a']\ndef area(r): return round(math.pi * r * r)",
  );
  const { stateDir } = product;
  expect(await product.stop({ keepState: true })).toBe(0);
  product = await startProduct({}, { stateDir });
  const again = await SocketClient.open(product.socketUrl, { clientId });
  expect(await again.value("alias.append(3); [values, area(2)]")).toEqual([{ a: [1, 2, 3] }, 13]);
  await again.close();
}, 180_000);

it("suspends an idle session, ends its process, and brings it back with its state", async () => {
  product = await startProduct({ SESSION_IDLE_SECONDS: "2", LINK_IDLE_SECONDS: "1" });
  const clientId = "idle";
  const client = await SocketClient.open(product.socketUrl, { clientId });
  client.send({ type: "attach" });
  await client.run("answer = 42");
  const suspended = await client.until((frame) => frame.type === "session" && frame.data.state === "suspended", 60_000);
  expect(suspended.data.reason).toMatch(/idle/);
  const overview = await (await fetch(`${product.url}/api/v1/session`, { headers: { "client-id": clientId } })).json();
  expect(overview).toMatchObject({ state: "suspended", runner: null });
  expect(await client.value("answer")).toBe(42);
  expect(client.frames.some((frame) => frame.type === "session" && frame.data.state === "restored")).toBe(true);
  await client.close();
}, 120_000);

it("leaves no process behind when it stops", async () => {
  product = await startProduct();
  const client = await SocketClient.open(product.socketUrl, { clientId: "gone" });
  await client.run("import subprocess; p = subprocess.Popen(['sleep', '1000'])");
  const { familyOf, isAlive } = await import("../support/processes.ts");
  const family = familyOf(product.pid);
  expect(family.length).toBeGreaterThan(4);
  await client.close();
  expect(await product.stop()).toBe(0);
  expect(family.filter(isAlive)).toEqual([]);
}, 120_000);
