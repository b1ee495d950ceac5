/** A client's object from the outside: executions, ids, limits, problems, inputs, over WebSocket and REST. */
import { beforeEach, expect, it } from "vitest";
import { call, control, EdgeClient, open, registerRunner, seqsOf, textOf } from "../support/edge-client.ts";

let clientId = "";
beforeEach(async () => {
  clientId = `c-${crypto.randomUUID()}`;
  await registerRunner();
});

it("sends a client that only executes nothing but the execution's events", async () => {
  const client = await EdgeClient.open(clientId);
  const events = await client.run("print hello\nvalue 42");
  expect(events.map((event) => event.type)).toEqual(["output", "result"]);
  expect(client.frames).toEqual(events);
  expect(seqsOf(events)).toEqual([1, 2]);
});

it("shows every event to each socket of the session, and none of another session's", async () => {
  const [one, two, other] = await Promise.all([
    EdgeClient.open(clientId),
    EdgeClient.open(clientId),
    EdgeClient.open(clientId, "&session=other"),
  ]);
  const events = await one.run("print x");
  await two.untilType("result");
  expect(two.frames).toEqual(events);
  await other.run("print y");
  expect(textOf(other.frames)).toBe("y\n");
  expect(textOf(two.frames)).toBe("x\n");
});

it("runs an id once and sends its events again", async () => {
  const client = await EdgeClient.open(clientId);
  const first = await client.run("print once\npush 1", "same");
  const again = await client.run("print once\npush 1", "same");
  expect(again).toEqual(first);
  expect(await client.value("state")).toEqual([1]);
  client.send({ type: "execute", id: "same", code: "push 2" });
  expect(await client.untilType("problem")).toMatchObject({ id: "same", data: { code: "idempotency_conflict" } });
  const rest = await call("POST", "/api/v1/execute", { clientId, body: { code: "push 3", id: "same" } });
  expect(rest).toMatchObject({ status: 409, body: { code: "idempotency_conflict" } });
});

it("sends the events so far of an execution that still runs, and the rest live, once", async () => {
  const one = await EdgeClient.open(clientId);
  one.send({ type: "execute", id: "long", code: "print a\nhold\nprint b" });
  await one.untilType("output");
  const two = await EdgeClient.open(clientId);
  two.send({ type: "execute", id: "long", code: "print a\nhold\nprint b" });
  await two.untilType("output");
  await control("release", clientId);
  await two.untilType("result");
  expect(seqsOf(two.frames)).toEqual([1, 2, 3]);
});

it("lets as many wait as it may, and not one more", async () => {
  const client = await EdgeClient.open(clientId);
  for (let count = 0; count < 5; count += 1) client.send({ type: "execute", id: `q${count}`, code: "hold" });
  client.send({ type: "execute", id: "q5", code: "hold" });
  expect(await client.untilType("problem")).toMatchObject({ id: "q5", data: { code: "queue_full", status: 429 } });
  for (let count = 0; count < 5; count += 1) {
    client.send({ type: "cancel", execution_id: `q${count}` });
    expect((await client.untilType("error", `q${count}`)).data.reason).toBe("cancelled");
  }
  expect(await client.value("value 1")).toBe(1);
});

it("answers what is wrong with problems and keeps the socket", async () => {
  const client = await EdgeClient.open(clientId);
  client.send("{");
  expect((await client.next()).data.code).toBe("invalid_request");
  client.sendBinary(new ArrayBuffer(3));
  expect((await client.next()).data.code).toBe("invalid_request");
  client.send({ type: "nonsense", id: "n" });
  expect(await client.next()).toMatchObject({ type: "problem", id: "n", data: { code: "invalid_request" } });
  client.send({ type: "execute", id: "t", code: "", timeout: 300.5 });
  expect((await client.next()).data.errors[0].path).toBe("timeout");
  client.send({ type: "execute", id: "b", code: "é".repeat(512 * 1024 + 1) });
  expect((await client.next()).data.code).toBe("payload_too_large");
  client.send({ type: "execute", id: "f", code: "x".repeat(1.25 * 1024 * 1024) });
  expect((await client.next()).data.code).toBe("payload_too_large");
  client.send({ type: "cancel", id: "c", execution_id: "nobody" });
  expect(await client.next()).toMatchObject({ id: "c", data: { code: "not_found" } });
  client.send({ type: "input_response", id: "i", input_id: "none", value: "" });
  expect(await client.next()).toMatchObject({ id: "i", data: { code: "not_found" } });
  client.send({ type: "interrupt", id: "s" });
  expect(await client.next()).toEqual({ type: "interrupted", id: "s", data: { execution_id: null } });
  client.send({ type: "execute", id: "x".repeat(128), code: `push ${JSON.stringify("é".repeat(524_280))}` });
  expect((await client.next()).type).toBe("result");
});

it("answers a prompt once, whoever is first", async () => {
  const client = await EdgeClient.open(clientId);
  client.send({ type: "execute", id: "ask", code: "input who?" });
  const prompt = await client.untilType("input");
  const seen = await call("GET", "/api/v1/session", { clientId });
  expect(seen.body.pending_input).toMatchObject({
    input_id: prompt.data.input_id,
    prompt: "who?",
    execution_id: "ask",
  });
  const path = "/api/v1/executions/ask/input";
  const body = { input_id: prompt.data.input_id, value: "Ada" };
  const answers = await Promise.all([call("POST", path, { clientId, body }), call("POST", path, { clientId, body })]);
  expect(answers.map((answer) => answer.status).sort()).toEqual([204, 404]);
  await client.untilType("result");
  expect(textOf(client.frames)).toBe("got Ada\n");
});

it("limits a client's sessions until one is ended", async () => {
  for (const session of ["a", "b"]) {
    expect((await call("POST", "/api/v1/execute", { clientId, body: { code: "", session } })).status).toBe(202);
  }
  const third = () => call("POST", "/api/v1/execute", { clientId, body: { code: "", session: "c" } });
  expect(await third()).toMatchObject({ status: 429, body: { code: "session_limit" } });
  expect((await call("DELETE", "/api/v1/session?session=a", { clientId })).status).toBe(204);
  expect((await third()).status).toBe(202);
});

it("keeps executions as resources, newest first, page by page", async () => {
  for (const id of ["one", "two", "three"]) {
    await call("POST", "/api/v1/execute?wait=5", { clientId, body: { id, code: `print ${id}\nvalue "${id}"` } });
  }
  const first = await call("GET", "/api/v1/executions?limit=2", { clientId });
  expect(first.body.executions.map((one: { execution_id: string }) => one.execution_id)).toEqual(["three", "two"]);
  const rest = await call("GET", `/api/v1/executions?limit=2&before=${first.body.next}`, { clientId });
  expect(rest.body).toMatchObject({ executions: [{ execution_id: "one", stdout: "one\n" }], next: null });
  expect((await call("GET", "/api/v1/executions/two", { clientId })).body).toMatchObject({
    status: "succeeded",
    stdout: "two\n",
    result: { value: "two" },
    first_seq: 3,
    last_seq: 4,
  });
  expect((await call("GET", "/api/v1/executions/none", { clientId })).status).toBe(404);
});

it("streams an execution's events until it ends, and from where a reader left", async () => {
  await call("POST", "/api/v1/execute", { clientId, body: { id: "s", code: "print a\nhold\nprint b" } });
  const stream = await open("GET", "/api/v1/executions/s/events", { clientId });
  const text = stream.text();
  await control("release", clientId);
  const ids = [...(await text).matchAll(/^id: (\d+)$/gm)].map((match) => Number(match[1]));
  expect(ids).toEqual([1, 2, 3]);
  const rest = await call("GET", "/api/v1/executions/s/events?after=2", {
    clientId,
    headers: { accept: "application/x-ndjson" },
  });
  expect(rest.body.trim().split("\n").length).toBe(1);
  expect(rest.body).toContain('"result"');
});

it("looks at a session without starting an interpreter", async () => {
  const seen = await call("GET", "/api/v1/session", { clientId });
  expect(seen.body).toMatchObject({ state: "ready", runner: null, last_seq: 0, executions: 0, created_at: null });
  expect((await call("GET", "/api/v1/sessions", { clientId })).body).toEqual({ sessions: [] });
});

it("says no_runner where none has room, and pool_exhausted where the runner says so", async () => {
  await control("refuse", clientId);
  try {
    const answer = await call("POST", "/api/v1/execute", { clientId, body: { id: "r", code: "" } });
    expect(answer).toMatchObject({ status: 503, body: { code: "pool_exhausted" } });
    expect((await call("GET", "/api/v1/executions/r", { clientId })).status).toBe(404);
  } finally {
    await control("accept", clientId);
  }
  expect((await call("POST", "/api/v1/execute?wait=5", { clientId, body: { id: "r", code: "" } })).status).toBe(200);
});
