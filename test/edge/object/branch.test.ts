/** Branch at the edge: a new session with another one's state, from now or from a checkpoint, and what stands in its way. */
import { beforeEach, expect, it } from "vitest";
import { call, control, EdgeClient, env, objectId, registerRunner } from "../support/edge-client.ts";

let clientId = "";
beforeEach(async () => {
  clientId = `b-${crypto.randomUUID()}`;
  await registerRunner();
});

const branch = (body: unknown) => call("POST", "/api/v1/session/branch", { clientId, body });
const open = (session: string) => EdgeClient.open(clientId, `&session=${session}`);
const stateOf = (client: EdgeClient) => client.value("state");
const blobs = async () => (await env.CHECKPOINTS.list({ prefix: `checkpoints/${objectId(clientId)}/` })).objects.length;

it("makes a session with the state as it is now; both go on by themselves", async () => {
  const first = await open("one");
  await first.run("push 1");
  expect((await call("PUT", "/api/v1/sessions/one", { clientId, body: { env: { A: "1" } } })).status).toBe(200);
  const made = await branch({ session: "one", name: "two" });
  expect(made).toMatchObject({
    status: 201,
    body: { session: { session: "two", state: "ready", restored: null, env_names: ["A"] }, from: "one", missing: [] },
  });
  expect(made.body.checkpoint_id).toMatch(/^ck_/);
  const second = await open("two");
  await second.run("push 2");
  await first.run("push 3");
  expect([await stateOf(first), await stateOf(second)]).toEqual([
    [1, 3],
    [1, 2],
  ]);
  expect((await control("sessions", clientId)).map(({ env }: { env: object }) => env)).toEqual([
    { A: "1" },
    { A: "1" },
  ]);
  expect((await call("GET", "/api/v1/checkpoints", { clientId })).body.checkpoints).toEqual([]);
});

it("brings the new session back by itself, when the one that it came from is gone and purged", async () => {
  const first = await open("one");
  await first.run("push 1");
  expect((await branch({ session: "one", name: "two" })).status).toBe(201);
  expect((await call("DELETE", "/api/v1/sessions/one?purge=true", { clientId })).status).toBe(204);
  await control("kill", clientId);
  expect(await stateOf(await open("two"))).toEqual([1]);
});

it("makes a session from a checkpoint, whatever happened since, over REST and from the socket's session", async () => {
  const client = await open("one");
  await client.run("push 1");
  const { checkpoint_id } = (await call("POST", "/api/v1/checkpoint", { clientId, body: { session: "one" } })).body;
  await client.run("push 2");
  expect(await branch({ name: "old", checkpoint_id })).toMatchObject({
    status: 201,
    body: { from: "one", checkpoint_id },
  });
  expect(await stateOf(await open("old"))).toEqual([1]);
  // The tests' edge allows two sessions.
  expect((await call("DELETE", "/api/v1/sessions/old", { clientId })).status).toBe(204);
  client.send({ type: "branch", id: "b", name: "new" });
  expect(await client.untilType("branched")).toMatchObject({
    id: "b",
    data: { session: { session: "new", state: "ready" }, from: "one", missing: [] },
  });
  expect(await stateOf(await open("new"))).toEqual([1, 2]);
});

it("refuses a name that is taken, an unknown checkpoint, and one session too many", async () => {
  await (await open("one")).run("push 1");
  expect(await branch({ session: "one", name: "one" })).toMatchObject({
    status: 409,
    body: { code: "session_exists" },
  });
  expect((await branch({ session: "one", name: "two" })).status).toBe(201);
  const before = await blobs();
  expect(await branch({ session: "one", name: "two" })).toMatchObject({
    status: 409,
    body: { code: "session_exists" },
  });
  expect(await branch({ session: "one", name: "x", checkpoint_id: "ck_0" })).toMatchObject({ status: 404 });
  expect(await branch({ session: "one" })).toMatchObject({ status: 400, body: { errors: [{ path: "name" }] } });
  const codes: string[] = [];
  for (let at = 0; at < 20 && codes.at(-1) !== "session_limit"; at += 1) {
    codes.push((await branch({ session: "one", name: `more-${at}` })).body.code);
  }
  expect(codes.at(-1)).toBe("session_limit");
  expect(await blobs()).toBe(before + codes.length - 1);
});

it("leaves nothing behind if no interpreter can be started, and makes it the next time", async () => {
  await (await open("one")).run("push 1");
  await control("refuse", clientId);
  expect((await branch({ session: "one", name: "two" })).body).toMatchObject({ code: "pool_exhausted" });
  await control("accept", clientId);
  expect((await call("GET", "/api/v1/sessions/two", { clientId })).status).toBe(404);
  expect((await branch({ session: "one", name: "two" })).status).toBe(201);
  expect(await stateOf(await open("two"))).toEqual([1]);
});
