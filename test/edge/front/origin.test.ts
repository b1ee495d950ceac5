/** Which web pages may call: the edge's own and the allowed ones; CORS for those, on answers and on problems. */
import { expect, it } from "vitest";
import { call, ok, problemOf, testFront } from "../support/front.ts";

const allowing = { ALLOWED_ORIGINS: "https://friend.test, http://localhost:3000/" };
const answers = { listSessions: () => ok({ sessions: [] }) };

it("lets callers without an origin and pages of its own through, without CORS", async () => {
  for (const headers of [{}, { origin: "https://edge.test" }]) {
    const response = await call(testFront(allowing, answers), "GET", "/api/v1/sessions", undefined, headers);
    expect(response.status).toBe(200);
    expect(response.headers.has("access-control-allow-origin")).toBe(false);
    expect(response.headers.get("vary")).toContain("Origin");
  }
});

it("names an allowed origin in the answer, also where the answer is a problem", async () => {
  for (const origin of ["https://friend.test", "http://localhost:3000"]) {
    const response = await call(testFront(allowing, answers), "GET", "/api/v1/sessions", undefined, { origin });
    expect(response.headers.get("access-control-allow-origin")).toBe(origin);
    const failed = await testFront(allowing).fetch("/api/v1/sessions", { headers: { origin } });
    expect(failed.status).toBe(400);
    expect(failed.headers.get("access-control-allow-origin")).toBe(origin);
    expect(failed.headers.get("access-control-expose-headers")).toContain("retry-after");
  }
});

it.each(["https://evil.test", "null", "https://edge.test:444", "http://edge.test", "https://friend.test:1", "*", ""])(
  "refuses the origin %j before anything else happens",
  async (origin) => {
    for (const allowed of [allowing, { ALLOWED_ORIGINS: "null, https://x.test" }, {}]) {
      const front = testFront(allowed, answers);
      const response = await call(front, "POST", "/api/v1/execute", { code: "1" }, { origin });
      expect(response.status).toBe(403);
      expect(response.headers.has("access-control-allow-origin")).toBe(false);
      expect((await problemOf(response)).code).toBe("origin_not_allowed");
      expect(front.calls).toEqual([]);
    }
  },
);

it("answers a preflight of allowed origins without asking for a token", async () => {
  const front = testFront({ ...allowing, JWT_SECRET: "s".repeat(32) });
  const preflight = (origin: string) =>
    front.fetch("/api/v1/execute", {
      method: "OPTIONS",
      headers: { origin, "access-control-request-method": "POST", "access-control-request-headers": "client-id" },
    });
  const response = await preflight("https://friend.test");
  expect(response.status).toBe(204);
  expect(response.headers.get("access-control-allow-origin")).toBe("https://friend.test");
  expect(response.headers.get("access-control-allow-methods")).toContain("DELETE");
  for (const name of ["authorization", "client-id", "content-type", "idempotency-key", "last-event-id"]) {
    expect(response.headers.get("access-control-allow-headers")).toContain(name);
  }
  expect((await preflight("https://evil.test")).status).toBe(403);
});

it("takes no page for its own that has reached this machine by another name", async () => {
  const asked = async (host: string, LOCAL: string) => {
    const front = testFront({ LOCAL }, answers);
    const url = `http://${host}/api/v1/sessions`;
    return (await front.fetch(url, { headers: { "client-id": "ada", origin: `http://${host}` } })).status;
  };
  for (const host of ["127.0.0.1:8787", "localhost:8787", "[::1]:8787", "edge.localhost"]) {
    expect(await asked(host, "true")).toBe(200);
  }
  for (const host of ["rebound.test:8787", "localhost.rebound.test", "127.0.0.1.rebound.test"]) {
    expect(await asked(host, "true")).toBe(403);
    expect(await asked(host, "false")).toBe(200);
  }
});

it("says nothing to a page of another name whose requests do not tell where they come from, unless it is allowed", async () => {
  const asked = async (host: string, variables: Record<string, string>) => {
    const front = testFront(variables, answers);
    return (await front.fetch(`http://${host}/api/v1/sessions`, { headers: { "client-id": "ada" } })).status;
  };
  expect(await asked("rebound.test:8787", { LOCAL: "true" })).toBe(403);
  expect(await asked("rebound.test:8787", { LOCAL: "false" })).toBe(200);
  expect(await asked("localhost:8787", { LOCAL: "true" })).toBe(200);
  const allowed = { LOCAL: "true", ALLOWED_ORIGINS: "https://python.example" };
  expect(await asked("python.example", allowed)).toBe(200);
  expect(await asked("rebound.test:8787", allowed)).toBe(403);
  // Where a token is asked for, such a page has none.
  expect(await asked("rebound.test:8787", { LOCAL: "true", JWT_SECRET: "s".repeat(32) })).toBe(401);
});

it("goes by the Host header too, whatever made the URL", async () => {
  const asked = async (host: string) => {
    const front = testFront({ LOCAL: "true" }, answers);
    const headers = { "client-id": "ada", host };
    return (await front.fetch("http://localhost:8787/api/v1/sessions", { headers })).status;
  };
  expect(await asked("localhost:8787")).toBe(200);
  for (const host of ["rebound.test:8787", "localhost.rebound.test", "[", "a b"]) expect(await asked(host)).toBe(403);
});
