/** Sessions as resources at the edge: making, changing and ending them, and variables that nobody can read back. */
import { evictDurableObject, runInDurableObject } from "cloudflare:test";
import { beforeEach, expect, it } from "vitest";
import { call, control, EdgeClient, open, registerRunner, stubOf } from "../support/edge-client.ts";

let clientId = "";
beforeEach(async () => {
  clientId = `r-${crypto.randomUUID()}`;
  await registerRunner();
});

const path = "/api/v1/sessions/work";
const put = (body: unknown) => call("PUT", path, { clientId, body });

it("makes a session, shows it, changes it, and ends it", async () => {
  expect(await call("GET", path, { clientId })).toMatchObject({ status: 404, body: { code: "not_found" } });
  const made = await put({ environment: "default", env: { B: "2", A: "1" }, idle_seconds: 60 });
  expect(made).toMatchObject({
    status: 201,
    body: { session: "work", state: "ready", environment: "default", env_names: ["A", "B"], saved: null, undo: [] },
  });
  expect(await put({ env: { B: null } })).toMatchObject({ status: 200, body: { env_names: ["A"] } });
  expect((await call("GET", path, { clientId })).body).toMatchObject({ env_names: ["A"], packages: [] });
  expect((await call("GET", "/api/v1/sessions", { clientId })).body.sessions).toHaveLength(1);
  expect((await call("DELETE", `${path}?purge=true`, { clientId })).status).toBe(204);
  expect((await call("GET", path, { clientId })).body).toMatchObject({ state: "ended", env_names: [] });
});

it("sends the values to the runner before the next execution, also after it slept, and nowhere else", async () => {
  const secret = `secret-${crypto.randomUUID()}`;
  const client = await EdgeClient.open(clientId, "&session=work");
  await client.run("value 1");
  expect(JSON.stringify(await put({ env: { TOKEN: secret } }))).not.toContain(secret);
  await client.run("value 2");
  expect((await control("sessions", clientId)).at(-1).env).toEqual({ TOKEN: secret });
  await evictDurableObject(stubOf(clientId));
  await put({ env: { OTHER: "x" } });
  await client.run("value 3");
  expect((await control("sessions", clientId)).at(-1).env).toEqual({ TOKEN: secret, OTHER: "x" });
  await runInDurableObject(stubOf(clientId), (_object, state) => {
    for (const { name } of state.storage.sql.exec<{ name: string }>(
      "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE '\\_cf%' ESCAPE '\\'",
    )) {
      expect(JSON.stringify(state.storage.sql.exec(`SELECT * FROM "${name}"`).toArray())).not.toContain(secret);
    }
  });
  expect(JSON.stringify(client.frames)).not.toContain(secret);
});

it("refuses names of the sandbox, too much, and an environment that does not exist", async () => {
  for (const env of [
    { PATH: "x" },
    { LD_PRELOAD: "x" },
    { PYTHONPATH: "x" },
    { "A-B": "x" },
    { A: 1 },
    { A: "\ud800" },
  ]) {
    expect(await put({ env })).toMatchObject({ status: 400, body: { code: "invalid_request" } });
  }
  const errors = [{ path: "env.PATH", message: "must not be a name that the sandbox sets itself" }];
  expect(await put({ env: { PATH: "x" } })).toMatchObject({ body: { errors } });
  expect(await put({ env: { A: "x".repeat(65_536) } })).toMatchObject({
    status: 400,
    body: { errors: [{ path: "env" }] },
  });
  expect(await put({ environment: "nowhere" })).toMatchObject({
    status: 400,
    body: { errors: [{ path: "environment" }] },
  });
  expect(await call("GET", path, { clientId })).toMatchObject({ status: 404 });
});

it("keeps the environment of a session that has state", async () => {
  const client = await EdgeClient.open(clientId, "&session=work&environment=default");
  await client.run("value 1");
  await registerRunner("other", ["default", "data"]);
  expect(await put({ environment: "data" })).toMatchObject({ status: 409, body: { code: "environment_conflict" } });
  const upgrade = await open("GET", `/ws/v1/session?client_id=${clientId}&session=work&environment=data`, {
    headers: { upgrade: "websocket" },
  });
  expect(upgrade.status).toBe(409);
  await upgrade.body?.cancel();
  expect((await call("DELETE", path, { clientId })).status).toBe(204);
  expect(await put({ environment: "data" })).toMatchObject({ status: 200, body: { environment: "data" } });
});

it("lists variables over the socket and over REST", async () => {
  const client = await EdgeClient.open(clientId, "&session=work");
  client.send({ type: "variables", id: "v" });
  expect(await client.untilType("variables")).toEqual({
    type: "variables",
    id: "v",
    data: { variables: [], truncated: false },
  });
  const rest = await call("GET", "/api/v1/session/variables?session=work", { clientId });
  expect(rest).toMatchObject({ status: 200, body: { variables: [], truncated: false } });
});
