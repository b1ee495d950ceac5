/** What dies in the middle: the object, the link, the runner. One numbering, one ending, nothing lost, nothing twice. */
import { abortAllDurableObjects, evictDurableObject, runInDurableObject } from "cloudflare:test";
import { beforeEach, expect, it } from "vitest";
import {
  call,
  control,
  EdgeClient,
  type Frame,
  registerRunner,
  ring,
  seqsOf,
  stubOf,
  textOf,
} from "../support/edge-client.ts";

let clientId = "";
beforeEach(async () => {
  clientId = `f-${crypto.randomUUID()}`;
  await registerRunner();
});

/** The scripted runner's side of this client's session: the newest one. */
async function session() {
  return (await control("sessions", clientId)).at(-1);
}

it("loses nothing and repeats nothing when the object is evicted a hundred times in the middle of an execution", async () => {
  const client = await EdgeClient.open(clientId);
  const lines = Array.from({ length: 101 }, (_, index) => `line ${index}`);
  client.send({ type: "execute", id: "e", code: lines.map((line) => `print ${line}`).join("\nhold\n") });
  await client.untilType("output");
  for (let round = 0; round < 100; round += 1) {
    await evictDurableObject(stubOf(clientId));
    const { key } = await session();
    await control("release", key);
    expect(await ring(clientId, key)).toBe(204);
    await client.untilType("output");
  }
  await client.untilType("result");
  expect(textOf(client.frames)).toBe(`${lines.join("\n")}\n`);
  expect(seqsOf(client.frames)).toEqual(Array.from({ length: 102 }, (_, index) => index + 1));
  expect((await session()).ran).toEqual(["e"]);
  // An eviction takes more than a second.
}, 240_000);

it("asks the runner for what the object had not written when it was thrown away", async () => {
  const client = await EdgeClient.open(clientId);
  client.send({ type: "execute", id: "e", code: "print a\nprint b\nhold\nprint c" });
  await client.until((frame) => frame.data.data === "b\n");
  const { key } = await session();
  await abortAllDurableObjects();
  await registerRunner();
  await control("release", key);
  const again = await EdgeClient.open(clientId);
  again.send({ type: "attach", id: "at", after: 1 });
  const attached = await again.untilType("attached");
  expect(attached).toMatchObject({ id: "at", data: { last_seq: 4, running: null } });
  expect(seqsOf(again.frames)).toEqual([2, 3, 4]);
  again.send({ type: "execute", id: "e", code: "print a\nprint b\nhold\nprint c" });
  await again.untilType("result");
  expect((await session()).ran).toEqual(["e"]);
});

it("brings each event once and in order over a hundred deaths of the object at random moments", async () => {
  const rounds = 100;
  const code = Array.from({ length: rounds }, (_, round) => `print ${round}\nflood 20 200\nhold`).join("\n");
  await call("POST", "/api/v1/execute", { clientId, body: { id: "walk", code } });
  const seen: Frame[] = [];
  for (let round = 0; round < rounds; round += 1) {
    const client = await EdgeClient.open(clientId);
    client.send({ type: "attach", after: seqsOf(seen).at(-1) ?? 0, window: 1024 + Math.floor(Math.random() * 8192) });
    client.acknowledges = true;
    const enough = seen.length + Math.floor(Math.random() * 21);
    while (seen.length < enough) {
      const frame = await client.next(`event ${seen.length + 1} in round ${round}`);
      if (frame.seq !== undefined) seen.push(frame);
    }
    await control("release", clientId);
    await abortAllDurableObjects();
  }
  const last = await EdgeClient.open(clientId);
  last.send({ type: "attach", after: seqsOf(seen).at(-1) ?? 0, window: 1024 * 1024 });
  while (seen.at(-1)?.type !== "result") {
    const frame = await last.next("the end");
    if (frame.seq !== undefined) seen.push(frame);
  }
  expect(seqsOf(seen)).toEqual(Array.from({ length: rounds * 21 + 1 }, (_, index) => index + 1));
  expect((await session()).ran).toEqual(["walk"]);
  const kept = (await call("GET", "/api/v1/executions/walk", { clientId })).body;
  expect(kept).toMatchObject({ status: "succeeded", stdout: textOf(seen), first_seq: 1, last_seq: rounds * 21 + 1 });
}, 60_000);

it("tells a runner to give up an incarnation that the object does not know", async () => {
  const client = await EdgeClient.open(clientId);
  await client.run("print a");
  expect([204, 410]).toContain(await ring(clientId, "s_unknown"));
});

it("links up again when a link breaks, and goes on where it was", async () => {
  const client = await EdgeClient.open(clientId);
  client.send({ type: "execute", id: "cut", code: "print a\nhold\nprint b" });
  await client.untilType("output");
  const { key } = await session();
  await control("cut", key);
  await control("release", key);
  await client.untilType("result");
  expect(seqsOf(client.frames)).toEqual([1, 2, 3]);
});

it("opens a link that breaks again and again after longer pauses, also when the runner rings", async () => {
  const client = await EdgeClient.open(clientId);
  client.send({ type: "execute", id: "cut", code: "print a\nhold\nprint b" });
  await client.untilType("output");
  const { key, links } = await session();
  const endsAt = Date.now() + 2000;
  while (Date.now() < endsAt) {
    await control("cut", key);
    await ring(clientId, key);
  }
  // The pauses are 200, 400, 800 and 1600 ms. Links that are opened at once would be hundreds.
  expect((await session()).links - links).toBeLessThanOrEqual(6);
  await control("release", key);
  await client.untilType("result");
  expect(seqsOf(client.frames)).toEqual([1, 2, 3]);
});

it("ends everything unfinished once when the runner has lost the session, above every number it may have used", async () => {
  const client = await EdgeClient.open(clientId);
  client.send({ type: "attach" });
  await client.run("push 1", "first");
  client.send({ type: "execute", id: "victim", code: "print a\nhold" });
  client.send({ type: "execute", id: "waiting", code: "push 2" });
  const output = await client.untilType("output");
  client.send({ type: "ping", id: "both are there" });
  await client.untilType("pong");
  await control("kill", (await session()).key);
  const lost = await client.untilType("error", "victim");
  expect(lost.data).toMatchObject({
    reason: "runner_lost",
    state: "fresh",
    transaction: "rolled_back",
    lost_executions: ["first"],
  });
  expect(lost.seq).toBeGreaterThan((output.seq ?? 0) + 1_000_000);
  expect((await client.untilType("error", "waiting")).data.reason).toBe("runner_lost");
  expect(await client.value("state")).toEqual([]);
  const told = client.frames.find((frame) => frame.type === "session" && frame.data.state === "reset");
  expect(told?.data).toMatchObject({ reason: "runner_lost", lost_executions: ["first"] });
  const seqs = seqsOf(client.frames);
  expect(seqs).toEqual([...new Set(seqs)].sort((a, b) => a - b));
  const seen = await call("GET", "/api/v1/executions/victim", { clientId });
  expect(seen.body).toMatchObject({ status: "lost", stdout: "a\n" });
});

it("brings the newest checkpoint to the next runner, and says what was lost", async () => {
  const client = await EdgeClient.open(clientId);
  await client.run("push 1");
  client.send({ type: "checkpoint", id: "k", name: "one" });
  const created = await client.untilType("checkpoint_created");
  expect(created).toMatchObject({ id: "k", data: { name: "one", durable: true } });
  await client.run("push 2", "after");
  client.send({ type: "execute", id: "victim", code: "hold" });
  client.send({ type: "attach" });
  await client.untilType("attached");
  await control("kill", (await session()).key);
  const lost = await client.untilType("error", "victim");
  expect(lost.data).toMatchObject({
    state: "restored",
    state_checkpoint_id: created.checkpoint_id,
    lost_executions: ["after"],
  });
  expect(await client.value("state")).toEqual([1]);
  const told = client.frames.find((frame) => frame.type === "session" && frame.data.state === "restored");
  expect(told?.data).toMatchObject({ checkpoint_id: created.checkpoint_id, missing: [], lost_executions: ["after"] });
});

it("announces a waiting prompt again after the object slept, and takes one answer", async () => {
  const client = await EdgeClient.open(clientId);
  client.send({ type: "execute", id: "ask", code: "input name?" });
  const prompt = await client.untilType("input");
  await evictDurableObject(stubOf(clientId));
  const two = await EdgeClient.open(clientId);
  two.send({ type: "attach", after: prompt.seq });
  const attached = await two.untilType("attached");
  expect(attached.data).toMatchObject({ running: "ask", pending_input: { input_id: prompt.data.input_id } });
  two.send({ type: "input_response", input_id: prompt.data.input_id, value: "x" });
  await two.untilType("result");
  client.send({ type: "input_response", id: "late", input_id: prompt.data.input_id, value: "y" });
  expect(await client.untilType("problem")).toMatchObject({ id: "late", data: { code: "not_found" } });
});

it("keeps a checkpoint over eviction and loss, and refuses one that was changed", async () => {
  const client = await EdgeClient.open(clientId);
  await client.run("push 1");
  const made = await call("POST", "/api/v1/checkpoint", { clientId, body: { name: "kept" } });
  expect(made.status).toBe(201);
  const id = made.body.checkpoint_id;
  await client.run("push 2");
  await control("kill", (await session()).key);
  await evictDurableObject(stubOf(clientId));
  const restored = await call("POST", `/api/v1/restore/${id}`, { clientId });
  expect(restored).toMatchObject({ status: 200, body: { status: "restored", source: "stored", missing: [] } });
  await runInDurableObject(stubOf(clientId), (_, state) => {
    state.storage.sql.exec("UPDATE checkpoint SET sha256 = ?, incarnation = ''", "0".repeat(64));
  });
  expect(await call("POST", `/api/v1/restore/${id}`, { clientId })).toMatchObject({
    status: 410,
    body: { code: "checkpoint_unavailable" },
  });
  expect(await call("POST", "/api/v1/restore/ck_unknown", { clientId })).toMatchObject({ status: 404 });
  expect((await call("DELETE", `/api/v1/checkpoints/${id}`, { clientId })).status).toBe(204);
  expect((await call("GET", `/api/v1/checkpoints/${id}`, { clientId })).status).toBe(404);
  expect((await call("GET", "/api/v1/checkpoints", { clientId })).body).toEqual({ checkpoints: [] });
});
