import { expect, it } from "vitest";
import { codePointsBefore, positionAfter } from "../../src/client/cursor.ts";
import { Endpoint } from "../../src/client/endpoint.ts";

it.each([
  ["http://host:1", "http://host:1/api/v1/session", "ws://host:1/ws/v1/session"],
  ["https://host/", "https://host/api/v1/session", "wss://host/ws/v1/session"],
  ["wss://host/ws/v1/session?client_id=x", "https://host/api/v1/session", "wss://host/ws/v1/session"],
  ["https://host/python/api/v1", "https://host/python/api/v1/session", "wss://host/python/ws/v1/session"],
])("finds both doors of %s", (url, rest, socket) => {
  const endpoint = new Endpoint({ url, clientId: "ada", session: "work" });
  expect(endpoint.restUrl("session").href).toBe(rest);
  expect(endpoint.socketUrl()).toBe(`${socket}?client_id=ada&session=work`);
});

it("asks for the token each time, and never puts it into an address", async () => {
  let count = 0;
  const endpoint = new Endpoint({ url: "http://host", token: async () => `token-${++count}` });
  expect(await endpoint.subprotocols()).toEqual(["pyrepl.v1", "pyrepl.bearer.token-1"]);
  expect(await endpoint.headers()).toMatchObject({ authorization: "Bearer token-2" });
  expect(endpoint.socketUrl()).not.toContain("token");
});

it("asks for the trace of each call, and goes without", async () => {
  let trace: string | undefined = "00-a-b-01";
  const endpoint = new Endpoint({ url: "http://host", traceparent: () => trace });
  expect(await endpoint.headers()).toMatchObject({ traceparent: trace });
  trace = undefined;
  expect(await endpoint.headers()).not.toHaveProperty("traceparent");
});

it("makes a client id that is hard to guess and that the service takes", () => {
  const ids = [1, 2].map(() => new Endpoint({ url: "http://host" }).clientId);
  expect(new Set(ids).size).toBe(2);
  for (const id of ids) expect(id).toMatch(/^[0-9a-f]{32}$/);
});

it("counts code points where the contract does", () => {
  expect(codePointsBefore("a😀b", 3)).toBe(2);
  expect(positionAfter("a😀b", 2)).toBe(3);
});
