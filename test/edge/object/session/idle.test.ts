/** How a session comes to rest: link closed, state stored, interpreter ended, brought back, deleted. Real time, short settings. */
import { evictDurableObject, runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { beforeEach, describe, expect, it, vi } from "vitest";
import { call, control, EdgeClient, env, objectId, registerRunner, stubOf } from "../../support/edge-client.ts";

let clientId = "";
beforeEach(async () => {
  clientId = `r-${crypto.randomUUID()}`;
  await registerRunner();
});

async function session(key: string) {
  return (await control("sessions", key))[0];
}
const newest = async () => (await control("sessions", clientId)).at(-1);
/** Whether the ledger of callers without a token counts the client. */
const isKnown = () =>
  runInDurableObject(env.TENANTS.get(env.TENANTS.idFromName("anonymous")), (_, { storage }) => {
    const rows = storage.sql.exec("SELECT * FROM client WHERE object = ?", objectId(clientId).toString());
    return rows.toArray().length === 1;
  });
/** What the client's object has in its database. */
const tables = () =>
  runInDurableObject(stubOf(clientId), async (_, { storage }) => {
    expect(await storage.getAlarm()).toBeNull();
    return storage.sql.exec("SELECT name FROM sqlite_master WHERE name NOT LIKE '\\_cf\\_%' ESCAPE '\\'").toArray();
  });
const stored = async () => (await env.CHECKPOINTS.list({ prefix: `checkpoints/${objectId(clientId)}/` })).objects;

it("closes a silent link, and takes a ring's news when they come", async () => {
  const client = await EdgeClient.open(clientId);
  client.send({ type: "execute", id: "long", code: "print a\nhold\nprint b" });
  await client.untilType("output");
  const { key } = await newest();
  await expect.poll(async () => (await session(key))?.isLinked).toBe(false);
  await control("release", key);
  expect(await stubOf(clientId).ring("default" as never, key)).toBe("taken");
  await client.untilType("result");
  expect((await session(key)).links).toBe(2);
});

it("stores the state when a session falls silent, so that a lost runner costs nothing", async () => {
  const client = await EdgeClient.open(clientId);
  await client.run("push 7");
  const { key } = await newest();
  await expect.poll(async () => (await session(key))?.isLinked).toBe(false);
  expect((await stored()).length).toBe(1);
  await control("kill", key);
  await registerRunner();
  expect(await client.value("state")).toEqual([7]);
  expect((await call("GET", "/api/v1/checkpoints", { clientId })).body.checkpoints).toEqual([]);
});

it("suspends an idle session, brings it back on the next call, and deletes everything in the end", async () => {
  const client = await EdgeClient.open(clientId);
  client.send({ type: "attach" });
  await client.run("push 8");
  const { key } = await newest();
  const suspended = await client.until((frame) => frame.type === "session" && frame.data.state === "suspended");
  expect(suspended.data.reason).toBe("idle");
  expect(await session(key)).toBeUndefined();
  expect((await call("GET", "/api/v1/session", { clientId })).body).toMatchObject({ state: "suspended", runner: null });
  await registerRunner();
  expect(await client.value("state")).toEqual([8]);
  const restored = client.frames.find((frame) => frame.type === "session" && frame.data.state === "restored");
  expect(restored?.data).toMatchObject({ reason: "idle", missing: [] });
  await client.until((frame) => frame.type === "session" && frame.data.state === "suspended");
  expect((await stored()).length).toBe(1);
  await vi.waitFor(async () => {
    await runDurableObjectAlarm(stubOf(clientId));
    expect((await stored()).length).toBe(0);
  }, 40_000);
  // The client counts as long as it has a socket.
  await runDurableObjectAlarm(stubOf(clientId));
  expect(await isKnown()).toBe(true);
  client.close();
  await vi.waitFor(async () => {
    await runDurableObjectAlarm(stubOf(clientId));
    expect(await tables()).toEqual([]);
  }, 10_000);
  expect(await isKnown()).toBe(false);
  await registerRunner();
  const again = await EdgeClient.open(clientId);
  expect(await again.value("state")).toEqual([]);
});

it("leaves nothing of a client that only looked", async () => {
  expect((await call("GET", "/api/v1/sessions", { clientId })).status).toBe(200);
  expect(await isKnown()).toBe(true);
  expect(await runDurableObjectAlarm(stubOf(clientId))).toBe(true);
  expect(await tables()).toEqual([]);
  expect(await isKnown()).toBe(false);
  expect((await call("GET", "/api/v1/sessions", { clientId })).body).toEqual({ sessions: [] });
});

it("hands a session over when its runner drains", async () => {
  const client = await EdgeClient.open(clientId);
  client.send({ type: "attach" });
  await client.run("push 9");
  const { key } = await newest();
  await control("drain", key);
  const left = await client.until((frame) => frame.type === "session" && frame.data.state === "suspended");
  expect(left.data.reason).toBe("draining");
  expect(await client.value("state")).toEqual([9]);
  expect((await newest()).key).not.toBe(key);
});

it("tells over REST too how a session came back, once in an execution and in its overview", async () => {
  const run = async (code: string) =>
    (await call("POST", "/api/v1/execute?wait=10", { clientId, body: { code } })).body;
  expect((await run("push 1")).restored).toBeNull();
  const { checkpoint_id } = (await call("POST", "/api/v1/checkpoint", { clientId, body: {} })).body;
  const { execution_id: lost } = await run("push 2");
  await control("kill", (await newest()).key);
  await registerRunner();
  const back = await run("state");
  const note = { reason: "runner_lost", checkpoint_id, missing: [], lost_executions: [lost] };
  expect(back.restored).toMatchObject(note);
  expect(back.result.restored).toEqual(back.restored);
  expect(Math.abs(back.restored.at - Date.now() / 1000)).toBeLessThan(60);
  expect((await run("state")).restored).toBeNull();
  expect((await call("GET", "/api/v1/session", { clientId })).body.restored).toEqual(back.restored);
  const again = (await call("GET", `/api/v1/executions/${back.execution_id}`, { clientId })).body;
  expect(again.restored).toEqual(back.restored);
  await call("POST", "/api/v1/session/reset", { clientId, body: {} });
  expect((await call("GET", "/api/v1/session", { clientId })).body.restored).toBeNull();
});

it("names an execution as lost that waited for a runner when the first one was lost, and ran on the second", async () => {
  const run = async (code: string) =>
    (await call("POST", "/api/v1/execute?wait=10", { clientId, body: { code } })).body;
  await run("push 1");
  await control("kill", (await newest()).key);
  await registerRunner();
  const second = await run("push 2");
  expect(second.status).toBe("succeeded");
  await control("kill", (await newest()).key);
  await registerRunner();
  expect((await run("state")).restored.lost_executions).toContain(second.execution_id);
});

it("tells an execution what was lost even if the session was lost again before one ran", async () => {
  const run = async (code: string) =>
    (await call("POST", "/api/v1/execute?wait=10", { clientId, body: { code } })).body;
  const comeBackWithoutExecution = async () => {
    await control("kill", (await newest()).key);
    await registerRunner();
    expect((await call("GET", "/api/v1/session/variables", { clientId })).status).toBe(200);
  };
  await run("push 1");
  await call("POST", "/api/v1/checkpoint", { clientId, body: {} });
  const { execution_id: lost } = await run("push 2");
  await comeBackWithoutExecution();
  await comeBackWithoutExecution();
  const back = await run("state");
  expect(back.result.value).toEqual([1]);
  expect(back.result.restored).toMatchObject({ reason: "runner_lost", lost_executions: [lost] });
  // It was told, so a later note does not repeat it.
  await control("kill", (await newest()).key);
  await registerRunner();
  expect((await run("state")).restored.lost_executions).toEqual([back.execution_id]);
});

describe("work that no runner had when the object ended", () => {
  async function leaveWork(): Promise<void> {
    await call("POST", "/api/v1/execute?wait=10", { clientId, body: { code: "push 1" } });
    // An object that has just started writes nothing by itself, so that what is written here stays.
    await evictDurableObject(stubOf(clientId));
    await runInDurableObject(stubOf(clientId), (_, { storage: { sql } }) => {
      const values = "('left', 1000, 'default', 'running', 'commit_always', 30, 0, 6, 'push 7')";
      const columns =
        "execution_id, ordinal, session, status, transaction_policy, timeout, submitted_at, code_bytes, code";
      sql.exec(`INSERT INTO execution (${columns}) VALUES ${values}`);
      const facts = "'$.phase', 'suspended', '$.incarnation', json('null'), '$.isLinked', json('false')";
      sql.exec(`UPDATE session SET record = json_set(record, ${facts}, '$.lastActiveAt', 0)`);
    });
    await evictDurableObject(stubOf(clientId));
  }
  const isDone = async () => (await call("GET", "/api/v1/executions/left", { clientId })).body.status === "succeeded";

  it("runs once somebody calls", async () => {
    await leaveWork();
    await expect.poll(isDone, { timeout: 10_000 }).toBe(true);
  });

  it("runs at the object's alarm if nobody calls", async () => {
    await leaveWork();
    await runInDurableObject(stubOf(clientId), (_, state) => state.storage.setAlarm(Date.now() + 600_000));
    const sessions = (await control("sessions", clientId)).length;
    await evictDurableObject(stubOf(clientId));
    expect(await runDurableObjectAlarm(stubOf(clientId))).toBe(true);
    expect((await control("sessions", clientId)).length).toBe(sessions + 1);
    await expect.poll(async () => (await newest()).ran, { timeout: 10_000 }).toEqual(["left"]);
  });
});

it("ends a session for good, and with purge leaves only its numbering", async () => {
  const client = await EdgeClient.open(clientId);
  client.send({ type: "execute", id: "cut", code: "print a\nhold" });
  await client.untilType("output");
  expect((await call("DELETE", "/api/v1/session?purge=true", { clientId })).status).toBe(204);
  expect((await client.untilType("error", "cut")).data.reason).toBe("cancelled");
  expect((await call("GET", "/api/v1/executions/cut", { clientId })).status).toBe(404);
  expect((await call("GET", "/api/v1/sessions", { clientId })).body.sessions).toEqual([]);
  const late = await EdgeClient.open(clientId);
  late.send({ type: "attach", after: 0 });
  const { last_seq, first_seq } = (await late.untilType("attached")).data;
  expect(late.frames[0]).toMatchObject({ type: "gap", data: { from: 1, to: last_seq } });
  expect(first_seq).toBe(last_seq + 1);
  const events = await client.run("state");
  expect(events.at(-1)?.data.value).toEqual([]);
  expect(events.at(-1)?.seq).toBeGreaterThan(3);
});

it("resets to a fresh interpreter and keeps checkpoints", async () => {
  const client = await EdgeClient.open(clientId);
  await client.run("push 1");
  client.send({ type: "checkpoint" });
  const { checkpoint_id } = await client.untilType("checkpoint_created");
  client.send({ type: "reset", id: "r" });
  expect(await client.untilType("session")).toMatchObject({ id: "r", data: { state: "reset" } });
  expect(await client.value("state")).toEqual([]);
  client.send({ type: "restore", id: "b", checkpoint_id });
  expect(await client.untilType("restored")).toMatchObject({ id: "b", checkpoint_id, data: { source: "snapshot" } });
  expect(await client.value("state")).toEqual([1]);
});

it("writes nothing for a session that was never used, whatever is asked about it", async () => {
  for (const action of ["reset", "interrupt"]) {
    const answer = await call("POST", `/api/v1/session/${action}`, { clientId, body: { session: "never" } });
    expect(answer).toMatchObject({ status: 202, body: { session: "never", state: "ready", created_at: null } });
  }
  expect((await call("GET", "/api/v1/session?session=never", { clientId })).body.sockets).toBe(0);
  expect((await call("DELETE", "/api/v1/session?session=never", { clientId })).status).toBe(204);
  const client = await EdgeClient.open(clientId, "&session=unused");
  client.send({ type: "reset", id: "r" });
  expect(await client.untilType("session")).toMatchObject({ id: "r", data: { state: "reset" } });
  await runInDurableObject(stubOf(clientId), (_, state) => {
    expect(state.storage.sql.exec("SELECT name FROM session").toArray()).toEqual([]);
  });
});
