/** Claims that narrow: which client ids, calls and messages a token allows, and that none of them is ignored. */
import { SignJWT } from "jose";
import { describe, expect, it } from "vitest";
import { grantOf, mayUseClient } from "../../../src/grant.ts";
import type { ClientId } from "../../../src/protocol/identity.ts";
import { call, ok, problemOf, testFront } from "../support/front.ts";

const SECRET = "a secret of at least thirty-two characters";

async function bearer(pyrepl: unknown): Promise<Record<string, string>> {
  const claims = { sub: "acme", exp: Math.floor(Date.now() / 1000) + 60, pyrepl };
  const token = await new SignJWT(claims).setProtectedHeader({ alg: "HS256" }).sign(new TextEncoder().encode(SECRET));
  return { authorization: `Bearer ${token}` };
}

const front = () => testFront({ JWT_SECRET: SECRET }, { listSessions: () => ok({ sessions: [] }) });

describe("the pattern of client ids", () => {
  const allows = (client_id: string | string[], id: string) => {
    const grant = grantOf({ pyrepl: { client_id } });
    if (grant === null) throw new Error("the claim is refused");
    return mayUseClient(grant, id as ClientId);
  };

  it.each([
    ["ada", "ada", true],
    ["ada", "adam", false],
    ["team-*", "team-1", true],
    ["team-*", "team-", true],
    ["team-*", "a-team-1", false],
    ["*-bot", "x-bot", true],
    ["a*b*c", "a1b2c", true],
    ["a*b*c", "a1c", false],
    ["ab*ba", "aba", false],
    ["*", "anyone", true],
    ["a.c", "abc", false],
  ])("%s and %s: %s", (pattern, id, is) => {
    expect(allows(pattern, id)).toBe(is);
  });

  it("takes several patterns", () => {
    expect([allows(["a", "b-*"], "b-1"), allows(["a", "b-*"], "c")]).toEqual([true, false]);
  });
});

it("refuses a call with a client id that the token does not name", async () => {
  const headers = await bearer({ client_id: "team-*" });
  const refused = await call(front(), "GET", "/api/v1/sessions", undefined, headers);
  expect([refused.status, (await problemOf(refused)).code]).toEqual([403, "forbidden"]);
  const allowed = await call(front(), "GET", "/api/v1/sessions", undefined, { ...headers, "client-id": "team-1" });
  expect(allowed.status).toBe(200);
});

it("refuses a socket with a client id that the token does not name, and one without", async () => {
  const headers = { ...(await bearer({ client_id: "team-*" })), upgrade: "websocket" };
  for (const query of ["?client_id=ada", ""]) {
    const refused = await front().fetch(`/ws/v1/session${query}`, { headers });
    expect([refused.status, (await problemOf(refused)).code]).toEqual([403, "forbidden"]);
  }
});

it("lets a token for reading make only calls that change nothing", async () => {
  const headers = await bearer({ read_only: true });
  expect((await call(front(), "GET", "/api/v1/sessions", undefined, headers)).status).toBe(200);
  for (const [method, path] of [
    ["POST", "/api/v1/execute"],
    ["PUT", "/api/v1/sessions/a"],
    ["DELETE", "/api/v1/session"],
  ] as const) {
    const seen = front();
    const refused = await call(seen, method, path, method === "DELETE" ? undefined : { code: "1" }, headers);
    expect([refused.status, (await problemOf(refused)).code, seen.calls]).toEqual([403, "forbidden", []]);
  }
  const socket = await front().fetch("/ws/v1/session?client_id=ada&environment=default", {
    headers: { ...headers, upgrade: "websocket" },
  });
  expect(socket.status).toBe(403);
});

it("passes the grant on to the object", async () => {
  const seen = front();
  await call(seen, "GET", "/api/v1/sessions", undefined, await bearer({ sessions: 1, rate: 2.5 }));
  expect(seen.calls[0]?.args[0]).toMatchObject({
    tenant: "acme",
    grant: { sessions: 1, messagesPerSecond: 2.5, isReadOnly: false, clientPatterns: null },
  });
});

it.each([
  [{ sesions: 1 }],
  [{ sessions: 0 }],
  [{ sessions: "2" }],
  [{ rate: -1 }],
  [{ read_only: "no" }],
  [{ client_id: [] }],
  [{ client_id: "a b" }],
  ["all"],
  [[]],
  [null],
])("refuses a token with the claim %j, and does not ignore it", async (claim) => {
  const refused = await call(front(), "GET", "/api/v1/sessions", undefined, await bearer(claim));
  expect([refused.status, (await problemOf(refused)).code]).toEqual([401, "unauthorized"]);
});
