/** A client's object from the outside: executions, ids, limits, problems, inputs, over WebSocket and REST. */
import { evictDurableObject } from "cloudflare:test";
import { beforeEach, expect, it } from "vitest";
import { call, control, EdgeClient, open, registerRunner, seqsOf, stubOf, textOf } from "../support/edge-client.ts";

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

it("shows every event to each attached socket of the session, and none of another session's", async () => {
  const [one, two, other] = await Promise.all([
    EdgeClient.open(clientId),
    EdgeClient.open(clientId),
    EdgeClient.open(clientId, "&session=other"),
  ]);
  two.send({ type: "attach" });
  await two.untilType("attached");
  two.frames.length = 0;
  const events = await one.run("print x");
  await expect.poll(() => two.frames.map((frame) => frame.type)).toContain("result");
  expect(two.frames.filter((frame) => frame.seq !== undefined)).toEqual(events);
  await other.run("print y");
  expect(textOf(other.frames)).toBe("y\n");
  expect(textOf(two.frames)).toBe("x\n");
});

it("shows a socket without attach the executions that were submitted on it, and no others", async () => {
  await call("POST", "/api/v1/execute?wait=5", { clientId, body: { code: "print before" } });
  const [plain, another] = await Promise.all([EdgeClient.open(clientId), EdgeClient.open(clientId)]);
  await call("POST", "/api/v1/execute", { clientId, body: { code: "print held\nhold\nprint over", id: "foreign" } });
  plain.send({ type: "execute", id: "mine", code: "print mine\nclear wait\nprint more" });
  const other = another.run("print other");
  await expect.poll(async () => (await call("GET", "/api/v1/session", { clientId })).body.queued).toBe(2);
  await control("release", clientId);
  await other;
  await plain.untilType("result");
  expect(plain.frames.map((frame) => frame.data.execution_id)).toEqual(["mine", "mine", "mine", "mine"]);
  expect(plain.frames[1]).toMatchObject({ type: "clear_output", data: { wait: true } });
  expect(textOf(another.frames)).toBe("other\n");
  // An execution that another caller submitted becomes the socket's own when it submits the same.
  plain.send({ type: "execute", id: "foreign", code: "print held\nhold\nprint over" });
  await plain.untilType("result", "foreign");
  expect(textOf(plain.frames)).toBe("mine\nmore\nheld\nover\n");
  plain.send({ type: "attach", after: 0 });
  const { last_seq } = (await plain.untilType("attached")).data;
  expect(new Set(seqsOf(plain.frames))).toEqual(new Set(Array.from({ length: last_seq }, (_, index) => index + 1)));
});

it("knows a socket's own executions after the object was evicted", async () => {
  const client = await EdgeClient.open(clientId);
  client.send({ type: "execute", id: "mine", code: "print a\nhold\nprint b" });
  await client.untilType("output");
  await call("POST", "/api/v1/execute", { clientId, body: { code: "print foreign" } });
  await evictDurableObject(stubOf(clientId));
  await control("release", clientId);
  await registerRunner();
  expect((await call("GET", "/api/v1/session", { clientId })).status).toBe(200);
  await client.untilType("result", "mine");
  expect(textOf(client.frames)).toBe("a\nb\n");
});

it("answers a waiting call as soon as its code waits for input", async () => {
  const body = { code: "print a\ninput who?", id: "ask" };
  const asked = await call("POST", "/api/v1/execute?wait=30", { clientId, body });
  expect(asked).toMatchObject({ status: 200, body: { status: "running", waiting_for: "input", stdout: "a\n" } });
  const { input_id } = asked.body.pending_input;
  expect((await call("POST", "/api/v1/execute?wait=30", { clientId, body })).body.waiting_for).toBe("input");
  await call("POST", "/api/v1/executions/ask/input", { clientId, body: { input_id, value: "Ada" } });
  const over = await call("POST", "/api/v1/execute?wait=30", { clientId, body });
  expect(over).toMatchObject({ status: 200, body: { status: "succeeded", waiting_for: null, pending_input: null } });
});

it("shows what an execution displayed, up to its limit", async () => {
  const run = (code: string) => call("POST", "/api/v1/execute?wait=15", { clientId, body: { code } });
  const { displays, displays_truncated } = (await run("display 3\nprint x\ndisplay 5")).body;
  expect(displays.map((one: { mime: object }) => one.mime)).toEqual([
    { "text/plain": "ddd" },
    { "text/plain": "ddddd" },
  ]);
  expect(displays_truncated).toBe(false);
});

it("never fails to list executions for their size, and says what it left out", async () => {
  // Six characters each as JSON.
  const code = `value 1\n${"\u0001".repeat(190_000)}`;
  const ids = Array.from({ length: 8 }, (_, index) => `large-${index}`);
  for (const id of ids) await call("POST", "/api/v1/execute?wait=15", { clientId, body: { code, id } });
  const answer = await call("GET", "/api/v1/executions", { clientId });
  expect(answer.status).toBe(200);
  expect(JSON.stringify(answer.body).length).toBeLessThanOrEqual(4 * 1024 * 1024);
  const listed = answer.body.executions as { execution_id: string; code: string; output_truncated: boolean }[];
  expect(listed.map((one) => one.execution_id)).toEqual(ids.toReversed());
  for (const one of listed) expect(one.output_truncated).toBe(one.code.length < code.length);
  expect(listed[0]?.output_truncated).toBe(false);
  expect(listed.at(-1)?.output_truncated).toBe(true);
  expect((await call("GET", "/api/v1/executions/large-0", { clientId })).body.code).toBe(code);
}, 30_000);

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
