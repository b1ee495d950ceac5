/** Tool calls at the edge: each is answered once, whatever dies in the middle, and nobody else's answer counts. */
import { abortAllDurableObjects, evictDurableObject } from "cloudflare:test";
import { beforeEach, expect, it } from "vitest";
import { call, control, EdgeClient, type Frame, registerRunner, ring, seqsOf, stubOf } from "../support/edge-client.ts";

const TOOL = { name: "files.read-one", description: "Reads.", timeout: 30 };

let clientId = "";
beforeEach(async () => {
  clientId = `t-${crypto.randomUUID()}`;
  await registerRunner();
});

async function session() {
  return (await control("sessions", clientId)).at(-1);
}

const answerTo = ({ data }: Frame, value: unknown) => ({ type: "tool_result", call_id: data.call_id, value });

it("gives executions the session's tools and their own, by their Python names", async () => {
  const client = await EdgeClient.open(clientId);
  client.send({ type: "tools", id: "t", tools: [TOOL, { name: "class" }] });
  const bindings = [
    { name: "files.read-one", python_name: "files_read_one" },
    { name: "class", python_name: "class_tool" },
  ];
  expect(await client.untilType("tools")).toEqual({ type: "tools", id: "t", data: { tools: bindings } });
  expect((await call("GET", "/api/v1/session/tools", { clientId })).body).toEqual({ tools: bindings });
  client.send({ type: "execute", id: "e1", code: "value 1", tools: [{ name: "files-read.one", timeout: 5 }] });
  await client.untilType("result");
  expect((await session()).offered).toEqual([
    { name: "files-read.one", python_name: "files_read_one", timeout: 5, inject: false },
    { name: "class", python_name: "class_tool", timeout: 240, inject: false },
  ]);
  await evictDurableObject(stubOf(clientId));
  await client.run("value 2");
  expect((await session()).offered).toHaveLength(2);
  const none = await call("PUT", "/api/v1/session/tools", { clientId, body: { tools: [] } });
  expect(none).toMatchObject({ status: 200, body: { tools: [] } });
  await client.run("value 3");
  expect((await session()).offered).toEqual([]);
});

it("refuses tools that cannot be called", async () => {
  const client = await EdgeClient.open(clientId);
  for (const tools of [
    [{ name: "a.b" }, { name: "a-b" }],
    Array.from({ length: 129 }, (_, index) => ({ name: `t${index}` })),
    [{ name: "a", input_schema: { type: "objekt" } }],
    [{ name: "1" }],
  ]) {
    client.send({ type: "tools", id: "t", tools });
    expect(await client.untilType("problem")).toMatchObject({ id: "t", data: { code: "invalid_request" } });
    const rest = await call("POST", "/api/v1/execute", { clientId, body: { code: "1", tools } });
    expect(rest).toMatchObject({ status: 400, body: { code: "invalid_request" } });
  }
});

it("takes the first answer to a call from any socket, and says of each other one that none waits for it", async () => {
  const [one, two] = [await EdgeClient.open(clientId), await EdgeClient.open(clientId)];
  one.send({ type: "execute", id: "e", code: "tool search\nvalue 7", tools: [{ name: "search" }] });
  const asked = await one.untilType("tool_call");
  expect(asked).toMatchObject({ seq: 1, data: { name: "search", arguments: { n: 1 }, timeout: 30 } });
  expect((await call("GET", "/api/v1/executions/e", { clientId })).body).toMatchObject({
    waiting_for: "tool",
    pending_tool_calls: [{ call_id: asked.data.call_id, arguments: { n: 1 }, execution_id: "e" }],
  });
  two.send({ ...answerTo(asked, { found: true }), id: "r1" });
  await one.untilType("result");
  one.send({ ...answerTo(asked, 2), id: "r2" });
  expect(await one.untilType("problem")).toMatchObject({ id: "r2", data: { code: "not_found" } });
  expect(one.frames.map((frame) => frame.type)).toEqual(["tool_call", "tool_done", "result", "problem"]);
  expect((await session()).toolResults).toEqual([{ call_id: asked.data.call_id, value: { found: true } }]);
});

it("shows a client that comes back what waits, and takes its answer", async () => {
  const one = await EdgeClient.open(clientId);
  one.send({ type: "execute", id: "e", code: "tool search 3", tools: [{ name: "search" }] });
  await one.until((frame) => frame.seq === 3);
  one.close();
  await evictDurableObject(stubOf(clientId));
  const two = await EdgeClient.open(clientId);
  two.send({ type: "attach", after: 0 });
  const attached = await two.untilType("attached");
  expect(attached.data.pending_tool_calls.map((pending: { arguments: unknown }) => pending.arguments)).toEqual([
    { n: 1 },
    { n: 2 },
    { n: 3 },
  ]);
  for (const frame of two.frames.filter(({ type }) => type === "tool_call")) two.send(answerTo(frame, 1));
  await two.untilType("result");
  expect(seqsOf(two.frames)).toEqual([1, 2, 3, 4, 5, 6, 7]);
});

it("brings the runner an answer that it took before it was thrown away", async () => {
  const one = await EdgeClient.open(clientId);
  one.send({ type: "execute", id: "e", code: "tool search\nhold\nvalue 7", tools: [{ name: "search" }] });
  const asked = await one.untilType("tool_call");
  const { key } = await session();
  await control("deafen", key);
  one.send(answerTo(asked, "kept"));
  await expect
    .poll(async () => (await call("GET", "/api/v1/executions/e", { clientId })).body.pending_tool_calls)
    .toEqual([]);
  await abortAllDurableObjects();
  await registerRunner();
  await control("hear", key);
  expect(await ring(clientId, key)).toBe(204);
  await expect
    .poll(async () => (await session()).toolResults)
    .toEqual([{ call_id: asked.data.call_id, value: "kept" }]);
  await control("release", key);
  const two = await EdgeClient.open(clientId);
  two.send({ type: "attach", after: 0 });
  await two.untilType("result");
  expect(two.frames.filter(({ type }) => type === "tool_done")).toHaveLength(1);
  two.send({ ...answerTo(asked, "again"), id: "r" });
  expect(await two.untilType("problem")).toMatchObject({ id: "r", data: { code: "not_found" } });
});

it("answers each of three hundred calls once over many deaths of the object", async () => {
  const calls = 300;
  const code = `${Array.from({ length: calls }, () => "tool search").join("\n")}\nvalue 7`;
  await call("POST", "/api/v1/execute", { clientId, body: { id: "walk", code, tools: [{ name: "search" }] } });
  const seen: Frame[] = [];
  for (let round = 0; seen.at(-1)?.type !== "result"; round += 1) {
    const client = await EdgeClient.open(clientId);
    client.send({ type: "attach", after: seqsOf(seen).at(-1) ?? 0 });
    const enough = seen.length + 1 + Math.floor(Math.random() * 60);
    const pending = (await client.untilType("attached")).data.pending_tool_calls as { call_id: string }[];
    for (const { call_id } of pending) client.send({ type: "tool_result", call_id, value: round });
    const isAsked = (frame: Frame) =>
      frame.type === "tool_call" && !pending.some((one) => one.call_id === frame.data.call_id);
    for (const frame of client.frames) if (frame.seq !== undefined) seen.push(frame);
    while (seen.length < enough && seen.at(-1)?.type !== "result") {
      const frame = await client.next(`event ${seen.length + 1}`);
      if (frame.seq === undefined) continue;
      seen.push(frame);
      if (isAsked(frame)) client.send(answerTo(frame, round));
    }
    client.close();
    await abortAllDurableObjects();
    await registerRunner();
  }
  expect(seqsOf(seen)).toEqual(Array.from({ length: 2 * calls + 1 }, (_, index) => index + 1));
  const { toolResults } = await session();
  expect(new Set(toolResults.map((result: { call_id: string }) => result.call_id)).size).toBe(calls);
  expect(toolResults).toHaveLength(calls);
}, 120_000);

it("tells of calls that are lost with their runner, before the ending that names them", async () => {
  const client = await EdgeClient.open(clientId);
  client.send({ type: "execute", id: "e", code: "tool search\ntool search 2", tools: [{ name: "search" }] });
  client.send(answerTo(await client.untilType("tool_call"), 1));
  await client.until((frame) => frame.type === "tool_call" && frame.data.call_id === "call-3");
  await control("kill", clientId);
  const ended = await client.untilType("error");
  expect(ended.data).toMatchObject({
    reason: "runner_lost",
    tool_calls: [{ status: "ok" }, { call_id: "call-2", status: "lost" }, { call_id: "call-3", status: "lost" }],
  });
  expect(client.frames.filter(({ type }) => type === "tool_done").map(({ data }) => data.status)).toEqual([
    "ok",
    "lost",
    "lost",
  ]);
});

it("tells over REST what waits as soon as the code waits, and goes on with the answers", async () => {
  const body = { code: "tool search 2\ntool search\nvalue 7", tools: [{ name: "search" }], id: "e" };
  const stop = await call("POST", "/api/v1/execute?wait=20", { clientId, body });
  expect(stop).toMatchObject({ status: 200, body: { status: "running", waiting_for: "tool" } });
  expect(stop.body.pending_tool_calls).toHaveLength(2);
  const path = "/api/v1/executions/e/tool-results";
  const results = stop.body.pending_tool_calls.map(({ call_id }: { call_id: string }) => ({ call_id, value: null }));
  const next = await call("POST", path, { clientId, body: { results, wait: 20 } });
  expect(next.body).toMatchObject({ waiting_for: "tool", pending_tool_calls: [{ call_id: "call-3" }] });
  const refused = await call("POST", path, { clientId, body: { results } });
  expect(refused).toMatchObject({ status: 404, body: { code: "not_found", errors: [{}, {}] } });
  const last = [{ call_id: "call-3", error: { type: "Gone", message: "gone", data: [1] } }];
  const end = await call("POST", path, { clientId, body: { results: last, wait: 20 } });
  expect(end.body).toMatchObject({ status: "succeeded", waiting_for: null, pending_tool_calls: [] });
  expect((await session()).toolResults[2]).toMatchObject({ error: { type: "Gone", message: "gone", data: [1] } });
});

it("takes a value of eight mebibytes, and no larger one", async () => {
  const client = await EdgeClient.open(clientId);
  client.send({ type: "execute", id: "e", code: "tool search 2", tools: [{ name: "search" }] });
  const asked = await client.untilType("tool_call");
  client.send({ ...answerTo(asked, "x".repeat(8 * 1024 * 1024)), id: "large" });
  expect(await client.untilType("problem")).toMatchObject({ id: "large", data: { code: "payload_too_large" } });
  client.send({ ...answerTo(asked, "x".repeat(8 * 1024 * 1024 - 2)), id: "fits" });
  await client.untilType("tool_done");
  client.send({ type: "execute", id: "long", code: "x".repeat(2 * 1024 * 1024) });
  expect(await client.untilType("problem")).toMatchObject({ id: "long", data: { code: "payload_too_large" } });
}, 60_000);

it("does not count the answers that code waits for against the rate", async () => {
  const client = await EdgeClient.open(clientId);
  const code = Array.from({ length: 200 }, () => "tool search").join("\n");
  client.send({ type: "execute", id: "e", code, tools: [{ name: "search" }] });
  for (let answered = 0; answered < 200; answered += 1) {
    client.send(answerTo(await client.untilType("tool_call"), answered));
  }
  await client.untilType("result");
  expect(client.frames.some(({ type }) => type === "problem")).toBe(false);
});

it("counts a session that has tools against the client's limit, and deletes them with it", async () => {
  const setTools = (session: string) =>
    call("PUT", `/api/v1/session/tools?session=${session}`, { clientId, body: { tools: [TOOL] } });
  for (const name of ["a", "b"]) expect((await setTools(name)).status).toBe(200);
  expect(await setTools("e")).toMatchObject({ status: 429, body: { code: "session_limit" } });
  const client = await EdgeClient.open(clientId, "&session=f");
  client.send({ type: "tools", id: "t", tools: [TOOL] });
  expect(await client.untilType("problem")).toMatchObject({ id: "t", data: { code: "session_limit" } });
  await call("DELETE", "/api/v1/sessions/a?purge=true", { clientId });
  expect((await call("GET", "/api/v1/session/tools?session=a", { clientId })).body).toEqual({ tools: [] });
  expect((await setTools("e")).status).toBe(200);
});
