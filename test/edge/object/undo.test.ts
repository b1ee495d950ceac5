/** Undo at the edge: over REST and the socket, in the overview, and when nothing is kept. */
import { beforeEach, expect, it } from "vitest";
import { call, control, EdgeClient, registerRunner } from "../support/edge-client.ts";

let clientId = "";
beforeEach(async () => {
  clientId = `u-${crypto.randomUUID()}`;
  await registerRunner();
});

const undo = (body?: unknown) =>
  call("POST", "/api/v1/session/undo", { clientId, ...(body === undefined ? {} : { body }) });

it("brings back the state before the last execution, or before a named one, and tells who is attached", async () => {
  const client = await EdgeClient.open(clientId);
  client.send({ type: "attach" });
  await client.untilType("attached");
  for (const at of [1, 2, 3]) await client.run(`push ${at}`, `e${at}`);
  expect((await call("GET", "/api/v1/session", { clientId })).body.undo).toEqual(["e3", "e2", "e1"]);
  expect(await undo()).toMatchObject({
    status: 200,
    body: { status: "restored", execution_id: "e3", source: "snapshot" },
  });
  expect((await client.until(({ data }) => data?.state === "restored")).data).toMatchObject({ reason: "undo" });
  expect((await control("sessions", clientId)).at(-1).state).toEqual([1, 2]);
  client.send({ type: "undo", id: "u", execution_id: "e1" });
  expect(await client.untilType("undone")).toEqual({
    type: "undone",
    id: "u",
    data: { status: "restored", execution_id: "e1", source: "snapshot" },
  });
  expect((await control("sessions", clientId)).at(-1).state).toEqual([]);
  expect((await call("GET", "/api/v1/session", { clientId })).body.saved).toBeNull();
});

it("answers 410 for what is not kept, also in a session that was never used or is suspended", async () => {
  expect(await undo()).toMatchObject({ status: 410, body: { code: "undo_unavailable" } });
  const client = await EdgeClient.open(clientId);
  await client.run("push 1", "e1");
  expect(await undo({ execution_id: "other" })).toMatchObject({ status: 410, body: { code: "undo_unavailable" } });
  await control("kill", clientId);
  expect(await undo({ execution_id: "e1" })).toMatchObject({ status: 410, body: { code: "undo_unavailable" } });
  client.send({ type: "undo", id: "u" });
  expect((await client.until(({ id }) => id === "u")).data).toMatchObject({ code: "undo_unavailable" });
});
