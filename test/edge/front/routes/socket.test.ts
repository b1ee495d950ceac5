/** The WebSocket's entrance: the same checks as for HTTP, and nothing of the client's own headers goes on to the object. */
import { SignJWT } from "jose";
import { describe, expect, it } from "vitest";
import { SOCKET_HEADERS } from "../../../../src/session-calls.ts";
import { problemOf, type TestFront, testFront } from "../../support/front.ts";

const SECRET = "a secret of at least thirty-two characters";

function acceptingFront(variables: Record<string, unknown> = {}): TestFront {
  return testFront(variables, {
    fetch: (request: Request) => {
      const { 0: client, 1: server } = new WebSocketPair();
      server.accept();
      server.close(1000);
      const subprotocol = request.headers.get(SOCKET_HEADERS.subprotocol);
      return new Response(null, {
        status: 101,
        webSocket: client,
        headers: subprotocol === null ? {} : { "sec-websocket-protocol": subprotocol },
      });
    },
  });
}

const open = (front: TestFront, query = "", headers = {}) =>
  front.fetch(`/ws/v1/session${query}`, { headers: { upgrade: "websocket", ...headers } });

function handedOn(front: TestFront): Headers {
  const [request] = front.calls[0]?.args ?? [];
  if (!(request instanceof Request)) throw new Error("nothing was handed on");
  return request.headers;
}

describe("the WebSocket's entrance", () => {
  it("asks for an upgrade where there is none", async () => {
    const response = await testFront().fetch("/ws/v1/session?client_id=a");
    expect(response.status).toBe(426);
    expect(response.headers.get("upgrade")).toBe("websocket");
    expect((await problemOf(response)).code).toBe("upgrade_required");
  });

  it("lets the query's client id win over the header's and says it in the answer", async () => {
    const front = acceptingFront();
    const response = await open(front, "?client_id=query", { "client-id": "header" });
    expect(response.status).toBe(101);
    expect(response.webSocket).not.toBeNull();
    expect(response.headers.get("client-id")).toBe("query");
    expect(response.headers.get("x-request-id")).toMatch(/^[0-9a-f-]{36}$/);
    expect(front.calls[0]?.object).toBe('["anonymous","query"]');
    const second = acceptingFront();
    expect((await open(second, "", { "client-id": "header" })).headers.get("client-id")).toBe("header");
  });

  it("makes a UUID for a client without a name", async () => {
    const first = (await open(acceptingFront())).headers.get("client-id");
    const second = (await open(acceptingFront())).headers.get("client-id");
    expect(first).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
    expect(first).not.toBe(second);
  });

  it("refuses a bad client id, and a bad session name by its path", async () => {
    const response = await open(acceptingFront(), "?client_id=-bad");
    expect([response.status, (await problemOf(response)).code]).toEqual([400, "client_id_invalid"]);
    const session = await open(acceptingFront(), "?client_id=a&session=a/b");
    const problem = await problemOf(session);
    expect(problem.code).toBe("invalid_request");
    expect(problem.errors[0].path).toBe("session");
  });

  it("overwrites the headers that the object trusts and hands on no secret", async () => {
    const front = acceptingFront();
    await open(front, "?client_id=me&session=work", {
      [SOCKET_HEADERS.tenant]: "other",
      [SOCKET_HEADERS.clientId]: "victim",
      [SOCKET_HEADERS.session]: "theirs",
      [SOCKET_HEADERS.requestId]: "forged\tid",
      [SOCKET_HEADERS.subprotocol]: "evil",
      authorization: "Bearer x",
      cookie: "a=b",
    });
    const headers = handedOn(front);
    expect(headers.get(SOCKET_HEADERS.tenant)).toBe("anonymous");
    expect(headers.get(SOCKET_HEADERS.clientId)).toBe("me");
    expect(headers.get(SOCKET_HEADERS.session)).toBe("work");
    expect(headers.get(SOCKET_HEADERS.requestId)).toMatch(/^[0-9a-f-]{36}$/);
    for (const name of [SOCKET_HEADERS.subprotocol, "authorization", "cookie", "sec-websocket-protocol"]) {
      expect(headers.has(name), name).toBe(false);
    }
  });

  it("takes a browser's token from the subprotocols and selects pyrepl.v1", async () => {
    const token = await new SignJWT({ sub: "tenant ☃", exp: Math.floor(Date.now() / 1000) + 60 })
      .setProtectedHeader({ alg: "HS256" })
      .sign(new TextEncoder().encode(SECRET));
    const front = acceptingFront({ JWT_SECRET: SECRET });
    const response = await open(front, "?client_id=a", {
      "sec-websocket-protocol": `pyrepl.v1, pyrepl.bearer.${token}`,
    });
    expect(response.status).toBe(101);
    expect(response.headers.get("sec-websocket-protocol")).toBe("pyrepl.v1");
    expect(decodeURIComponent(handedOn(front).get(SOCKET_HEADERS.tenant) ?? "")).toBe("tenant ☃");
    expect([...handedOn(front).values()].join()).not.toContain(token);
    const byHeader = await open(acceptingFront({ JWT_SECRET: SECRET }), "", { authorization: `Bearer ${token}` });
    expect(byHeader.status).toBe(101);
  });

  it("refuses a socket without a token, with a bad one, or with one in the URL", async () => {
    const front = acceptingFront({ JWT_SECRET: SECRET });
    for (const headers of [
      {},
      { "sec-websocket-protocol": "pyrepl.v1, pyrepl.bearer.a.b.c" },
      { authorization: "x" },
    ]) {
      const response = await open(front, "?client_id=a&token=a.b.c", headers);
      expect([response.status, (await problemOf(response)).code]).toEqual([401, "unauthorized"]);
    }
    expect(front.calls).toEqual([]);
  });

  it("takes a subprotocol token for a WebSocket only", async () => {
    const token = await new SignJWT({ sub: "t", exp: Math.floor(Date.now() / 1000) + 60 })
      .setProtectedHeader({ alg: "HS256" })
      .sign(new TextEncoder().encode(SECRET));
    const front = testFront({ JWT_SECRET: SECRET });
    const response = await front.fetch("/api/v1/sessions", {
      headers: { "client-id": "a", "sec-websocket-protocol": `pyrepl.bearer.${token}` },
    });
    expect(response.status).toBe(401);
  });

  it("refuses pages of foreign origins, as REST does", async () => {
    const front = acceptingFront({ ALLOWED_ORIGINS: "https://friend.test" });
    for (const origin of ["https://evil.test", "http://edge.test", "null", "https://friend.test.evil.test", ""]) {
      const response = await open(front, "?client_id=a", { origin });
      expect([response.status, (await problemOf(response)).code], origin).toEqual([403, "origin_not_allowed"]);
    }
    expect(front.calls).toEqual([]);
    expect((await open(front, "?client_id=a", { origin: "https://friend.test" })).status).toBe(101);
    expect((await open(front, "?client_id=a", { origin: "https://edge.test" })).status).toBe(101);
  });

  it("hands on the object's refusal as it is", async () => {
    const front = testFront({}, { fetch: () => Response.json({ code: "session_limit" }, { status: 429 }) });
    expect((await open(front)).status).toBe(429);
  });
});
