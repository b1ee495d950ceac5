import { expect, it } from "vitest";
import { residentBytes } from "../../support/processes.ts";
import { RunnerProgram } from "../runner-program.ts";

async function session(runner: RunnerProgram, fields = {}, key = "k1") {
  const edge = await runner.link(key);
  edge.open(fields);
  await edge.reply("opened");
  return edge;
}

const value = (frame: string) => JSON.parse(frame).data.value as unknown;

it("sends output and result of real code, numbered from the base", async () => {
  const runner = await RunnerProgram.start();
  const edge = await session(runner, { base: 100, after: 100 });
  edge.execute("e1", "print('hi')\n6 * 7");
  let printed = "";
  let seq = 100;
  let [event] = await edge.rawEvents(1);
  // A busy machine may send one print in several events.
  for (; event?.header[2] === "output"; [event] = await edge.rawEvents(1)) {
    seq += 1;
    const output = JSON.parse(event.frame);
    expect(output).toMatchObject({ type: "output", seq, data: { stream: "stdout" } });
    printed += output.data.data;
  }
  expect(printed).toBe("hi\n");
  if (event === undefined) throw new Error("no result");
  const result = event;
  expect(result.header).toEqual(["E", seq + 1, "result", "e1", Buffer.byteLength(result.frame)]);
  expect(value(result.frame)).toBe(42);
  edge.execute("e2", "input('name? ')");
  const { data } = JSON.parse((await edge.event("input")).frame);
  edge.send({ type: "input_response", ref: "i", input_id: data.input_id, value: "Ada" });
  await edge.reply("done");
  expect(value((await edge.event("result")).frame)).toBe("Ada");
});

it("blocks Python when nobody takes its output, in bounded memory, and interrupts it all the same", async () => {
  const runner = await RunnerProgram.start();
  const edge = await session(runner, { credit: 1000 });
  const before = residentBytes(runner.pid);
  edge.execute("endless", "while True: print('x' * 1000)");
  const ringBytes = async () => {
    const figures = await (await runner.call("/metrics")).text();
    return Number(/^pyrepl_ring_bytes (\d+)/m.exec(figures)?.[1]);
  };
  await expect.poll(ringBytes).toBeGreaterThanOrEqual(4 * 1024 * 1024);
  const full = await ringBytes();
  edge.send({ type: "interrupt", ref: "i" });
  expect(await edge.reply("done")).toMatchObject({ execution_id: "endless" });
  await edge.settle();
  expect(await ringBytes()).toBeLessThan(full + 1024 * 1024);
  expect(residentBytes(runner.pid) - before).toBeLessThan(64 * 1024 * 1024);
  edge.acknowledgeEverything();
  const { frame } = await edge.event("error");
  expect(JSON.parse(frame).data.reason).toBe("interrupted");
  edge.execute("after", "'alive'");
  expect(value((await edge.event("result")).frame)).toBe("alive");
});

it("goes on with the output of running code over a new link, each event once", async () => {
  const runner = await RunnerProgram.start();
  const first = await session(runner);
  first.execute("e1", "import time\nfor i in range(200):\n    print(i, flush=True)\n    time.sleep(0.02)");
  let seen = (await first.events(5)).at(-1) ?? 0;
  let text = "";
  for (let cuts = 0; cuts < 5; cuts += 1) {
    const edge = await session(runner, { after: seen, create: false });
    for (const { header, frame } of await edge.rawEvents(5)) {
      expect(header[1]).toBe(seen + 1);
      seen = header[1];
      text += JSON.parse(frame).data.data ?? "";
    }
    edge.ws.terminate();
    await edge.closed;
  }
  const last = await session(runner, { after: seen, create: false });
  expect((await last.event("result")).header[1]).toBeGreaterThan(seen);
  expect(text).toMatch(/^\d+\n/);
});

it("moves a session's state to another session by way of its blob", async () => {
  const runner = await RunnerProgram.start();
  const first = await session(runner);
  first.execute("e1", "class P:\n    def __init__(self): self.v = [1, 2]\np = P()\nalias = p.v");
  await first.event("result");
  first.send({ type: "checkpoint", ref: "c", checkpoint_id: "cp1" });
  const taken = await first.reply("checkpoint_taken");
  const blob = await (await runner.call("/v1/sessions/k1/checkpoints/cp1")).arrayBuffer();
  expect(blob.byteLength).toBe(taken.size);
  expect((await runner.call("/v1/sessions/k1/checkpoints/cp1", { method: "DELETE" })).status).toBe(204);
  first.send({ type: "restore", ref: "s", checkpoint_id: "cp1", clear_existing: true, blob: false });
  expect(await first.reply("restored")).toMatchObject({ source: "snapshot" });
  expect((await runner.call("/v1/sessions/k1", { method: "DELETE" })).status).toBe(204);

  const second = await session(runner, {}, "k2");
  const restore = { type: "restore", checkpoint_id: "cp1", clear_existing: true };
  second.send({ ...restore, ref: "r1", blob: false });
  expect(await second.reply("blob_required")).toMatchObject({ ref: "r1" });
  const put = await runner.call("/v1/sessions/k2/checkpoints/cp1", {
    method: "PUT",
    body: blob,
    headers: { "x-content-sha256": taken.sha256 },
  });
  expect(put.status).toBe(204);
  second.send({ ...restore, ref: "r2", blob: true });
  expect(await second.reply("restored")).toMatchObject({ ref: "r2", source: "stored" });
  second.execute("e2", "alias.append(3)\n[p.v, type(p).__name__]");
  expect(value((await second.event("result")).frame)).toEqual([[1, 2, 3], "P"]);
});
