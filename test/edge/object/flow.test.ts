/** How much a consumer gets when: windows, budgets, replay, gaps, streams that push back. */
import { beforeEach, expect, it } from "vitest";
import { call, control, EdgeClient, type Frame, open, registerRunner, seqsOf } from "../support/edge-client.ts";

let clientId = "";
beforeEach(async () => {
  clientId = `w-${crypto.randomUUID()}`;
  await registerRunner();
});

const sizeOf = (frames: readonly Frame[]) => frames.reduce((sum, frame) => sum + JSON.stringify(frame).length, 0);
const bytesOf = (frames: readonly Frame[]) =>
  frames.reduce((sum, frame) => sum + (frame.type === "output" ? frame.data.data.length : 0), 0);
const state = async () => (await control("sessions", clientId)).at(-1);

async function attached(window: number, after?: number): Promise<EdgeClient> {
  const client = await EdgeClient.open(clientId);
  client.send({ type: "attach", window, after });
  await client.untilType("attached");
  return client;
}

it("never has more than the window unacknowledged on a socket, and stops the runner", async () => {
  const client = await attached(8192);
  client.send({ type: "execute", id: "flood", code: "flood 2000 1000" });
  const first = await client.untilType("output");
  // What the window lets through comes at once; the answer to a ping comes behind it.
  client.send({ type: "ping", id: "p" });
  await client.untilType("pong");
  const events = client.frames.filter((frame) => frame.seq !== undefined);
  expect(sizeOf(events)).toBeLessThanOrEqual(8192);
  expect(events.length).toBeGreaterThan(4);
  expect((await state()).ringed).toBeGreaterThan(1500);
  client.acknowledges = true;
  client.send({ type: "ack", seq: client.frames.at(-2)?.seq ?? first.seq });
  await client.untilType("result");
  expect(bytesOf(client.frames)).toBe(2_000_000);
  const seqs = seqsOf(client.frames);
  expect(seqs).toEqual(seqs.map((_, index) => index + 1));
});

it("lets a fast socket go on while a slow one falls back to the journal, and gives the slow one everything in order", async () => {
  const slow = await attached(4096);
  const fast = await attached(65_536);
  fast.acknowledges = true;
  fast.send({ type: "execute", id: "flood", code: "flood 400 1000" });
  await fast.untilType("result");
  expect(bytesOf(slow.frames)).toBeLessThan(5000);
  slow.acknowledges = true;
  slow.send({ type: "ack", seq: seqsOf(slow.frames).at(-1) });
  await slow.untilType("result");
  expect(slow.frames.filter((frame) => frame.seq !== undefined)).toEqual(
    fast.frames.filter((frame) => frame.seq !== undefined),
  );
});

it("withholds output past its budget from a socket that does not acknowledge, and says how much", async () => {
  const client = await EdgeClient.open(clientId);
  const events = await client.run("flood 500 1000");
  const [notice, terminal] = events.slice(-2);
  expect(notice).toMatchObject({ type: "output_truncated", data: { type: "output_truncated" } });
  expect(terminal?.type).toBe("result");
  expect(notice).toMatchObject({ id: terminal?.data.execution_id, seq: (terminal?.seq ?? 0) - 1 });
  expect(bytesOf(events) + notice?.data.dropped_bytes).toBe(500_000);
  expect(bytesOf(events)).toBeGreaterThan(40_000);
  const next = await client.run("print small");
  expect(next.map((event) => event.type)).toEqual(["output", "result"]);
});

it("prunes the oldest output, keeps endings, and tells of the gap", async () => {
  const client = await EdgeClient.open(clientId);
  await client.run("print early", "early");
  await client.run("flood 1500 1000", "big");
  const late = await attached(32 * 1024 * 1024, 0);
  const gap = late.frames.find((frame) => frame.type === "gap");
  expect(gap?.data.from).toBe(1);
  const results = late.frames.filter((frame) => frame.type === "result");
  expect(results.map((frame) => frame.data.execution_id)).toEqual(["early", "big"]);
  const { first_seq, last_seq } = late.frames.at(-1)?.data ?? {};
  expect(first_seq).toBeGreaterThan(400);
  expect(last_seq).toBe(1503);
  const covered = late.frames.flatMap((frame) => {
    if (frame.type !== "gap") return frame.seq ?? [];
    return Array.from({ length: frame.data.to - frame.data.from + 1 }, (_, index) => frame.data.from + index);
  });
  expect(covered).toEqual(Array.from({ length: 1503 }, (_, index) => index + 1));
  const seen = (await call("GET", "/api/v1/executions/big", { clientId })).body;
  expect(seen).toMatchObject({ status: "succeeded", output_truncated: true });
  expect(seen.stdout.length).toBeGreaterThan(500_000);
});

it("replays an execution without the gaps and the events of others", async () => {
  const client = await EdgeClient.open(clientId);
  await client.run("print early", "early");
  await client.run("flood 1500 1000", "big");
  await client.run("print late", "late");
  const before = client.frames.length;
  client.send({ type: "execute", id: "early", code: "print early" });
  client.send({ type: "execute", id: "late", code: "print late" });
  client.send({ type: "ping", id: "p" });
  await client.untilType("pong");
  const again = client.frames.slice(before);
  const gaps = again.flatMap(({ type, data }) => (type === "gap" ? [[data.from, data.to]] : []));
  for (const [from, to] of gaps) expect(from).toBeLessThanOrEqual(to);
  expect(gaps.at(-1)?.[1] ?? 0).toBeLessThanOrEqual(2);
  expect(again.flatMap(({ seq, data }) => (seq === undefined ? [] : data.execution_id))).not.toContain("big");
  expect(again.filter(({ type }) => type === "result").map(({ data }) => data.execution_id)).toEqual(["early", "late"]);
});

it("replays exactly what came after, then says attached, then goes on live", async () => {
  const one = await EdgeClient.open(clientId);
  await one.run("print a\nprint b\nprint c");
  const two = await EdgeClient.open(clientId);
  two.send({ type: "attach", id: "x", after: 2 });
  await one.run("print d");
  await two.until((frame) => frame.type === "result" && (frame.seq ?? 0) > 4);
  expect(seqsOf(two.frames)).toEqual([3, 4, 5, 6]);
  expect(two.frames.filter((frame) => frame.type === "attached").length).toBe(1);
});

it("shows everything to a client that has seen more than there ever was, as after the session expired", async () => {
  const client = await EdgeClient.open(clientId);
  client.send({ type: "attach", after: 5000 });
  expect((await client.untilType("attached")).data.last_seq).toBe(0);
  expect(seqsOf(await client.run("print a"))).toEqual([1, 2]);
});

it("stops the runner while the reader of a stream does not read", async () => {
  await call("POST", "/api/v1/execute", { clientId, body: { id: "s", code: "hold\nflood 3000 1000" } });
  const answer = await open("GET", "/api/v1/executions/s/events", {
    clientId,
    headers: { accept: "application/x-ndjson" },
  });
  await control("release", clientId);
  const reader = answer.body?.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  let isFirst = true;
  for (let piece = await reader?.read(); piece?.done === false; piece = await reader?.read()) {
    text += piece.value;
    if (isFirst) {
      await call("GET", "/api/v1/session", { clientId });
      expect((await state()).ringed).toBeGreaterThan(500);
      isFirst = false;
    }
  }
  const lines = text.trim().split("\n");
  expect(lines.length).toBe(3001);
  expect(JSON.parse(lines.at(-1) ?? "").type).toBe("result");
});
