/** Field errors have one style, over REST and on a socket, whatever checked the field. */
import { beforeEach, expect, it } from "vitest";
import { call, EdgeClient, registerRunner } from "./support/edge-client.ts";

let clientId = "";
beforeEach(async () => {
  clientId = `m-${crypto.randomUUID()}`;
  await registerRunner();
});

const cases: [string, Record<string, unknown>, string, string][] = [
  ["a missing field", {}, "code", "is required"],
  ["null", { code: null }, "code", "must be a string"],
  ["a wrong type", { code: 1 }, "code", "must be a string"],
  ["a number that is none", { code: "1", timeout: "x" }, "timeout", "must be a number"],
  ["a number that is too small", { code: "1", timeout: 0 }, "timeout", "must be greater than 0"],
  ["a number that is too large", { code: "1", timeout: 9999 }, "timeout", "must be at most 300 seconds"],
  ["an empty id", { code: "1", id: "" }, "id", "must have at least 1 character"],
  ["an id that is too long", { code: "1", id: "x".repeat(129) }, "id", "must have at most 128 characters"],
  [
    "a value that is not one of a few",
    { code: "1", transaction_policy: "maybe" },
    "transaction_policy",
    'must be one of "commit_always", "rollback_on_failure", "rollback_always"',
  ],
];

it.each(cases)("says the same over REST and on a socket for %s", async (_what, fields, path, message) => {
  const answer = await call("POST", "/api/v1/execute", { clientId, body: fields });
  expect(answer).toMatchObject({ status: 400, body: { code: "invalid_request", errors: [{ path, message }] } });
  const client = await EdgeClient.open(clientId);
  client.send({ type: "execute", ...fields });
  expect((await client.untilType("problem")).data.errors).toEqual([{ path, message }]);
});

it("uses the style for queries, headers, types of messages and a body that is no JSON", async () => {
  const wait = await call("POST", "/api/v1/execute?wait=x", { clientId, body: { code: "1" } });
  expect(wait.body.errors).toEqual([{ path: "wait", message: "must be a number" }]);
  const headers = { "idempotency-key": "k".repeat(129) };
  const key = await call("POST", "/api/v1/execute", { clientId, headers, body: { code: "1" } });
  expect(key.body.errors).toEqual([{ path: "idempotency-key", message: "must have at most 128 characters" }]);
  const session = await call("GET", "/api/v1/session?session=-", { clientId });
  expect(session.body.errors[0].message).toMatch(/^must be 1 to 64 letters/);
  const client = await EdgeClient.open(clientId);
  client.send({ type: "nonsense" });
  expect((await client.untilType("problem")).data.errors).toEqual([{ path: "type", message: "must be a known value" }]);
  client.send({ code: "1" });
  expect((await client.untilType("problem")).data.errors).toEqual([{ path: "type", message: "is required" }]);
  client.send([]);
  expect((await client.untilType("problem")).data.errors).toEqual([{ path: "", message: "must be an object" }]);
});

it("refuses JSON of too many levels over REST and on a socket, and takes 900", async () => {
  const nested = (levels: number) => JSON.parse(`${"[".repeat(levels)}${"]".repeat(levels)}`);
  const tools = (levels: number) => [{ name: "deep", input_schema: { type: "object", examples: nested(levels) } }];
  const path = "/api/v1/session/tools";
  const errors = [{ path: "", message: "must have at most 1000 levels" }];
  const refusal = { code: "invalid_request", detail: "The body has more than 1000 levels.", errors };
  expect(await call("PUT", path, { clientId, body: { tools: tools(30_000) } })).toMatchObject({
    status: 400,
    body: refusal,
  });
  expect((await call("PUT", path, { clientId, body: { tools: tools(900) } })).status).toBe(200);
  const client = await EdgeClient.open(clientId);
  client.send({ type: "tools", id: "t", tools: tools(30_000) });
  const detail = "The message has more than 1000 levels.";
  expect((await client.untilType("problem")).data).toMatchObject({ code: "invalid_request", detail });
});
