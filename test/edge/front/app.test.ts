/** What every answer of the front has in common: identity, problems, safe headers, and silence about the inside. */
import { exports } from "cloudflare:workers";
import { afterEach, describe, expect, it, vi } from "vitest";
import { PROBLEMS, Problem, type ProblemCode } from "../../../src/protocol/problem.ts";
import { call, ok, problemOf, testFront } from "../support/front.ts";

afterEach(() => vi.restoreAllMocks());

describe("identity", () => {
  const status = async (clientId: string | null) => {
    const front = testFront({}, { listSessions: () => ok({ sessions: [] }) });
    const response = await front.fetch("/api/v1/sessions", {
      headers: clientId === null ? {} : { "client-id": clientId },
    });
    return [response.status, response.status === 200 ? "" : (await problemOf(response)).code];
  };

  it("asks REST callers for a client id", async () => {
    expect(await status(null)).toEqual([400, "client_id_required"]);
    expect(await status("")).toEqual([400, "client_id_required"]);
  });

  it.each(["a", "A.b_c~d-9", "0".repeat(128)])("takes %s", async (clientId) => {
    expect(await status(clientId)).toEqual([200, ""]);
  });

  it.each(["-a", ".a", "a b", "a/b", "a,b", "é", '"', "a\tb", "0".repeat(129)])("refuses %j", async (clientId) => {
    expect(await status(clientId)).toEqual([400, "client_id_invalid"]);
  });
});

describe("problems", () => {
  it.each(Object.keys(PROBLEMS) as ProblemCode[])("dresses the object's %s as the contract says", async (code) => {
    const init = { code, detail: "Said so.", errors: [{ path: "x", message: "y" }], retryAfter: 1.2 };
    const front = testFront({}, { getSession: () => ({ ok: false, problem: init }) });
    const response = await call(front, "GET", "/api/v1/session");
    expect(response.status).toBe(PROBLEMS[code].status);
    expect(response.headers.get("content-type")).toBe("application/problem+json");
    expect(response.headers.get("retry-after")).toBe("2");
    const problem = Problem.strict().parse(await response.json());
    expect(problem).toMatchObject({ code, detail: "Said so.", retry_after: 1.2, errors: init.errors });
    expect(problem.request_id).toBe(response.headers.get("x-request-id"));
  });

  it.each(["rate_limited", "queue_full", "session_limit", "no_runner", "pool_exhausted"])(
    "tells when to come back after %s even where the object did not",
    async (code) => {
      const front = testFront({}, { getSession: () => ({ ok: false, problem: { code, detail: "" } }) });
      const response = await call(front, "GET", "/api/v1/session");
      expect(Number(response.headers.get("retry-after"))).toBeGreaterThan(0);
    },
  );

  it.each([
    "/nowhere",
    "/api/v1/nowhere",
    "/api",
    "/api/v2/execute",
    "/api/v1/execute/",
    "/assets/x.js",
    "/ws/v1/x",
    "/index.html",
    "/.env",
  ])("has nothing at %s", async (path) => {
    const response = await testFront().fetch(path, { headers: { "client-id": "a" } });
    expect(response.status).toBe(404);
    expect((await problemOf(response)).code).toBe("not_found");
  });

  it("names the methods that a path has", async () => {
    for (const [method, path, allow] of [
      ["GET", "/api/v1/execute", "POST"],
      ["PUT", "/api/v1/checkpoints/x", "DELETE, GET"],
      ["DELETE", "/api/v1/executions", "GET"],
      ["POST", "/health", "GET"],
      ["PATCH", "/api/v1/session", "DELETE, GET"],
    ] as const) {
      const response = await call(testFront(), method, path);
      expect([response.status, response.headers.get("allow")], path).toEqual([404, allow]);
      expect((await problemOf(response)).code).toBe("not_found");
    }
  });

  it("never shows the inside of an unexpected failure", async () => {
    const logged = vi.spyOn(console, "error").mockReturnValue(undefined);
    const front = testFront(
      {},
      {
        getSession: () => {
          throw new Error('secret at /srv/app.ts\n{"forged":"line"}');
        },
      },
    );
    const response = await call(front, "GET", "/api/v1/session");
    expect(response.status).toBe(500);
    const text = await response.text();
    expect(text).not.toMatch(/secret|srv|stack|forged/);
    expect(JSON.parse(text).code).toBe("internal");
    const line = String(logged.mock.calls[0]?.[0]);
    expect(line).not.toContain("\n");
    expect(JSON.parse(line).request_id).toBe(response.headers.get("x-request-id"));
  });

  it("says internal, and logs which setting is wrong, where the configuration is", async () => {
    const logged = vi.spyOn(console, "error").mockReturnValue(undefined);
    const response = await testFront({ CHECKPOINT_KEY: "short" }).fetch("/health");
    expect(response.status).toBe(500);
    expect(await response.text()).not.toContain("CHECKPOINT_KEY");
    expect(String(logged.mock.calls[0]?.[0])).toContain("CHECKPOINT_KEY");
  });
});

describe("every answer", () => {
  it("has a request id of its own, whatever the caller sends", async () => {
    const ids = new Set<string | null>();
    for (const path of [
      "/health",
      "/",
      "/docs",
      "/openapi.json",
      "/api/v1/session",
      "/nowhere",
      "/assets/console.js",
    ]) {
      const response = await testFront().fetch(path, { headers: { "x-request-id": "mine" } });
      expect(response.headers.get("x-request-id")).toMatch(/^[0-9a-f-]{36}$/);
      expect(response.headers.get("x-content-type-options")).toBe("nosniff");
      expect(response.headers.get("content-security-policy")).toContain("frame-ancestors 'none'");
      ids.add(response.headers.get("x-request-id"));
    }
    expect(ids.size).toBe(7);
  });

  it("carries nothing of the caller's into its own headers", async () => {
    const front = testFront(
      {},
      {
        execute: (_c: unknown, b: { id: string }) => ok({ execution_id: b.id, status: "running", session: "default" }),
      },
    );
    const id = "a\r\nset-cookie: x=1\u2603";
    const response = await call(front, "POST", "/api/v1/execute", { code: "1", id });
    expect(response.status).toBe(202);
    expect(response.headers.has("set-cookie")).toBe(false);
    expect(response.headers.get("location")).toBe(`/api/v1/executions/${encodeURIComponent(id)}`);
  });

  it("keeps the real edge alive under odd paths", async () => {
    const { default: edge } = exports as unknown as { default: Fetcher };
    for (const path of [
      "/%",
      "/%zz",
      "//",
      "/..%2f..%2fetc/passwd",
      "/api/v1/executions/%00",
      "/?__proto__[x]=1",
      "/api/v1/session?session[__proto__]=1&session=%ff",
      `/${"a".repeat(8000)}`,
    ]) {
      const response = await edge.fetch(`https://edge.test${path}`);
      expect(response.status, path).toBeLessThan(500);
      await response.body?.cancel();
    }
    expect((await edge.fetch("https://edge.test/health")).status).toBe(200);
  });
});
