import { expect, it } from "vitest";
import { SessionError } from "../../../../worker-runner/session/session-error.ts";
import { EdgeEnd } from "../edge-end.ts";
import { startService, type UnderTest } from "../service-under-test.ts";

async function openLink(runner: UnderTest, fields: Parameters<EdgeEnd["open"]>[0] = {}, key = "k1") {
  const edge = await runner.link(key);
  edge.open(fields);
  const opened = await edge.reply("opened");
  return { edge, opened };
}

it("makes a session for a new key, numbered from the base that the edge gives", async () => {
  const runner = await startService();
  const { edge, opened } = await openLink(runner, { base: 40, after: 40 });
  expect(opened).toMatchObject({ created: true, runner_id: "r1", version: "0.3.0", state: "ready", last_seq: 40 });
  const { frame } = runner.pool.only.emit("output", "e1", { data: "hi" });
  await edge.settle();
  expect(edge.received).toEqual([{ event: ["E", 41, "output", "e1", frame.length], frame }]);
});

it("refuses an unknown key that it may not create", async () => {
  const runner = await startService();
  const edge = await runner.link();
  edge.open({ create: false });
  expect(await edge.reply("refused")).toMatchObject({ code: "not_found" });
  await edge.closed;
  expect(runner.pool.sessions).toEqual([]);
});

it("says what keeps it from making a session, and nothing about its insides", async () => {
  const runner = await startService();
  const cases: [Error, object][] = [
    [new SessionError("pool_exhausted", "100 of 100"), { code: "pool_exhausted", retry_after: 1 }],
    [new SessionError("draining", "no more"), { code: "draining" }],
    [new SessionError("interpreter_failed", "/usr/bin/python3: gone"), { code: "runner_error" }],
    [new Error("/secret/path"), { code: "runner_error", detail: "The runner failed." }],
  ];
  for (const [error, expected] of cases) {
    runner.pool.acquireError = error;
    const edge = await runner.link();
    edge.open();
    const refused = await edge.reply("refused");
    expect(refused).toMatchObject(expected);
    expect(refused.detail).not.toContain("/");
  }
});

it("sends again what came after the seq that the edge has, then goes on live", async () => {
  const runner = await startService();
  const { edge } = await openLink(runner);
  for (let i = 0; i < 5; i += 1) runner.pool.only.emit("output", "e1", { data: String(i) });
  expect(await edge.events(5)).toEqual([1, 2, 3, 4, 5]);
  edge.send({ type: "durable", seq: 2 });
  edge.ws.close();
  await edge.closed;
  runner.pool.only.emit("result", "e1");
  const { edge: again, opened } = await openLink(runner, { after: 3, create: false });
  expect(opened).toMatchObject({ created: false, last_seq: 6 });
  runner.pool.only.emit("output", "e2");
  expect(await again.events(4)).toEqual([4, 5, 6, 7]);
});

it("holds output back without credit, and everything behind it, in order", async () => {
  const runner = await startService();
  const { edge } = await openLink(runner, { credit: 1 });
  const session = runner.pool.only;
  const first = session.emit("output", "e1", { data: "goes whole" });
  session.emit("output", "e1", { data: "waits" });
  session.emit("input", "e1", { input_id: "i" });
  session.emit("display", "e1");
  session.emit("result", "e1");
  session.emitStarted("e2");
  await edge.reply("started");
  expect(edge.pendingEvents).toEqual([1]);
  edge.send({ type: "credit", bytes: first.frame.length - 1 });
  await edge.settle();
  expect(edge.pendingEvents).toEqual([1]);
  edge.send({ type: "credit", bytes: 1 });
  await edge.settle();
  expect(edge.pendingEvents).toEqual([1, 2, 3]);
  edge.send({ type: "credit", bytes: 1e6 });
  expect(await edge.events(5)).toEqual([1, 2, 3, 4, 5]);
});

it("sends terminal events without credit where no output waits in front of them", async () => {
  const runner = await startService();
  const { edge } = await openLink(runner, { credit: 0 });
  runner.pool.only.emit("input", "e1");
  runner.pool.only.emit("error", "e1", { reason: "timeout" });
  expect(await edge.events(2)).toEqual([1, 2]);
});

it("stops reading Python when the ring is full, still answers, and goes on once the edge has it on disk", async () => {
  const runner = await startService({ RING_MAX_BYTES: "1000" });
  const { edge } = await openLink(runner);
  const session = runner.pool.only;
  session.running = "e1" as typeof session.running;
  session.emit("output", "e1", { data: "x".repeat(900) });
  expect(session.isPaused).toBe(false);
  session.emit("output", "e1", { data: "x".repeat(900) });
  expect(session.isPaused).toBe(true);
  edge.send({ type: "interrupt", ref: "i" });
  expect(await edge.reply("done")).toEqual({ type: "done", ref: "i", execution_id: "e1" });
  session.emit("error", "e1", { reason: "interrupted" });
  expect(await edge.events(3)).toEqual([1, 2, 3]);
  expect(session.isPaused).toBe(true);
  edge.send({ type: "durable", seq: 2 });
  await edge.settle();
  expect(session.isPaused).toBe(false);
  expect(session.calls.filter((call) => call === "pause" || call === "resume")).toEqual(["pause", "resume"]);
});

it("lets a second link take over, without a gap and without a repetition", async () => {
  const runner = await startService();
  const { edge } = await openLink(runner);
  runner.pool.only.emit("output", "e1");
  expect(await edge.events(1)).toEqual([1]);
  const { edge: second } = await openLink(runner, { after: 1 });
  expect(await edge.closed).toBe(4001);
  runner.pool.only.emit("output", "e1");
  expect(await second.events(1)).toEqual([2]);
  expect(runner.pool.sessions.length).toBe(1);
});

it("makes one session for two links that open the same new key at once", async () => {
  const runner = await startService();
  const { promise, resolve: release } = Promise.withResolvers<void>();
  runner.pool.gate = promise;
  const [first, second] = await Promise.all([runner.link(), runner.link()]);
  first.open();
  second.open();
  release();
  await second.reply("opened");
  await first.closed.catch(() => undefined);
  expect(runner.pool.sessions.length).toBe(1);
});

it("does what was asked right behind open, in order", async () => {
  const runner = await startService();
  const edge = await runner.link();
  edge.open();
  edge.send({ type: "execute", execution_id: "e1", code: "1", transaction_policy: "commit_always", timeout: 5 });
  edge.send({ type: "execute", execution_id: "e2", code: "2", transaction_policy: "commit_always", timeout: 5 });
  await edge.settle();
  expect(runner.pool.only.calls).toEqual(["frames of 0", "keepOutput null", "submit e1", "submit e2"]);
});

it("closes a link with 1008 for whatever does not fit, and keeps serving the others", async () => {
  const runner = await startService();
  const good = (await openLink(runner, {}, "good")).edge;
  const bad: ((edge: EdgeEnd) => void)[] = [
    (edge) => edge.ws.send("not json"),
    (edge) => edge.ws.send("[1]"),
    (edge) => edge.ws.send(Buffer.from([1, 2, 3])),
    (edge) => edge.send({ type: "unheard of" }),
    (edge) => edge.send({ type: "durable", seq: 1 }),
    (edge) => edge.send({ type: "open", session: "default" }),
    (edge) => {
      edge.open();
      edge.open();
    },
  ];
  for (const misbehave of bad) {
    const edge = await runner.link("bad");
    misbehave(edge);
    expect(await edge.closed).toBe(1008);
  }
  await good.settle();
});

it("does not upgrade without the secret, or on another path", async () => {
  const runner = await startService();
  await expect(EdgeEnd.connect(runner.url, "k1", "wrong")).rejects.toThrow("401");
  await expect(EdgeEnd.connect(runner.url, "k!", "a-secret-of-sixteen-or-more")).rejects.toThrow("404");
  await expect(EdgeEnd.connect(runner.url, "k".repeat(129), "a-secret-of-sixteen-or-more")).rejects.toThrow("404");
});

it("tells the link when the session ends, and forgets it once its events are on disk", async () => {
  const runner = await startService();
  const { edge } = await openLink(runner);
  runner.pool.only.emit("error", "e1", { reason: "process_died" });
  runner.pool.only.emitState("ended", "the sandbox ended");
  expect(await edge.reply("session")).toMatchObject({ state: "ended" });
  edge.send({ type: "durable", seq: 1 });
  expect(await edge.closed).toBe(1000);
  const late = await runner.link();
  late.open({ create: false });
  expect(await late.reply("refused")).toMatchObject({ code: "not_found" });
});

it("keeps the last events of an ended session for the next link", async () => {
  const runner = await startService();
  const { edge } = await openLink(runner);
  edge.ws.terminate();
  await edge.closed;
  runner.pool.only.emit("error", "e1", { reason: "process_died" });
  runner.pool.only.emitState("ended", "the sandbox ended");
  const { edge: again, opened } = await openLink(runner, { create: false });
  expect(opened.state).toBe("ended");
  expect(await again.events(1)).toEqual([1]);
  again.send({ type: "durable", seq: 1 });
  expect(await again.closed).toBe(1000);
});

it("carries 50 MB of events through one link, whole and in order", async () => {
  const runner = await startService({ RING_MAX_BYTES: "100000000" });
  const { edge } = await openLink(runner);
  const data = "y".repeat(50_000);
  for (let i = 0; i < 1000; i += 1) runner.pool.only.emit("output", "e1", { data });
  runner.pool.only.emit("result", "e1");
  const seqs = await edge.events(1001);
  expect(seqs).toEqual(Array.from({ length: 1001 }, (_, index) => index + 1));
});
