/** The REST calls about executions: what they take, what they refuse by which path, and what they ask of the object. */
import { describe, expect, it } from "vitest";
import { EXECUTION } from "../../../../src/front/routes/examples.ts";
import { call, ok, problemOf, testFront } from "../../support/front.ts";

interface Body {
  id: string;
  session?: string;
}

const accepting = {
  execute: (_caller: unknown, body: Body) =>
    ok({ execution_id: body.id, status: "running", session: body.session ?? "default" }),
};

const bodyOf = (front: ReturnType<typeof testFront>) => front.calls[0]?.args[1] as Record<string, unknown>;

describe("POST /execute", () => {
  it("answers the seed's bare call at once", async () => {
    const front = testFront({}, accepting);
    const response = await call(front, "POST", "/api/v1/execute", { code: "x = 100" });
    expect(response.status).toBe(202);
    const accepted = await problemOf(response);
    expect(accepted).toEqual({ execution_id: expect.any(String), status: "running", session: "default" });
    expect(response.headers.get("location")).toBe(`/api/v1/executions/${accepted.execution_id}`);
    expect(bodyOf(front)).toMatchObject({ code: "x = 100", transaction_policy: "commit_always" });
  });

  it.each([undefined, "text/plain", "application/json; charset=utf-8", "application/x-www-form-urlencoded"])(
    "reads JSON whatever the content type says (%s)",
    async (type) => {
      const front = testFront({}, accepting);
      const headers = type === undefined ? {} : { "content-type": type };
      const body = new TextEncoder().encode('\ufeff{"code":"1"}');
      const response = await front.fetch("/api/v1/execute", {
        method: "POST",
        headers: { "client-id": "ada", ...headers },
        body,
      });
      expect(response.status).toBe(202);
    },
  );

  it("takes the id from the body or the Idempotency-Key header, which must agree", async () => {
    const key = { "idempotency-key": "k1" };
    const run = async (body: object, headers = {}) => {
      const front = testFront({}, accepting);
      const response = await call(front, "POST", "/api/v1/execute", body, headers);
      return { status: response.status, answer: await problemOf(response) };
    };
    expect((await run({ code: "1", id: "b1" })).answer.execution_id).toBe("b1");
    expect((await run({ code: "1" }, key)).answer.execution_id).toBe("k1");
    expect((await run({ code: "1", id: "k1" }, key)).answer.execution_id).toBe("k1");
    const differing = await run({ code: "1", id: "b1" }, key);
    expect(differing.status).toBe(400);
    expect(differing.answer.errors[0].path).toBe("id");
    expect((await run({ code: "1" }, { "idempotency-key": "k".repeat(128) })).status).toBe(202);
    const long = await run({ code: "1" }, { "idempotency-key": "k".repeat(129) });
    expect([long.status, long.answer.errors[0].path]).toEqual([400, "idempotency-key"]);
  });

  it("takes the session from the body, else from the query", async () => {
    const front = testFront({}, accepting);
    const first = await call(front, "POST", "/api/v1/execute?session=q", { code: "1" });
    expect((await problemOf(first)).session).toBe("q");
    const second = await call(front, "POST", "/api/v1/execute?session=q", { code: "1", session: "b" });
    expect((await problemOf(second)).session).toBe("b");
  });

  it.each<[string, unknown, string[]]>([
    ["no code", {}, ["code"]],
    ["code of another type", { code: 7 }, ["code"]],
    ["an unknown policy", { code: "1", transaction_policy: "maybe" }, ["transaction_policy"]],
    ["no time at all", { code: "1", timeout: 0 }, ["timeout"]],
    ["time as text", { code: "1", timeout: "30" }, ["timeout"]],
    ["an empty id", { code: "1", id: "" }, ["id"]],
    ["a path as session", { code: "1", session: "../x" }, ["session"]],
    ["several at once", { code: null, timeout: -1, id: 5 }, ["code", "timeout", "id"]],
    ["a list", [], [""]],
    ["a text", "null", [""]],
    ["no JSON", "{code: 1}", [""]],
    ["half a JSON", '{"code": "1"', [""]],
  ])("refuses %s and names it", async (_name, body, paths) => {
    const front = testFront({}, accepting);
    const response = await call(front, "POST", "/api/v1/execute", body);
    expect(response.status).toBe(400);
    const problem = await problemOf(response);
    expect(problem.code).toBe("invalid_request");
    expect(problem.errors.map((error: { path: string }) => error.path)).toEqual(paths);
    expect(front.calls).toEqual([]);
  });

  it("ignores unknown fields and does not let __proto__ through", async () => {
    const front = testFront({}, accepting);
    const body = '{"code":"1","__proto__":{"polluted":true},"constructor":{"prototype":{"polluted":true}},"extra":1}';
    expect((await call(front, "POST", "/api/v1/execute", body)).status).toBe(202);
    expect(Object.keys(bodyOf(front)).sort()).toEqual(["code", "id", "transaction_policy"]);
    expect(({} as { polluted?: boolean }).polluted).toBeUndefined();
  });

  it("refuses bytes that are no UTF-8", async () => {
    const response = await testFront().fetch("/api/v1/execute", {
      method: "POST",
      headers: { "client-id": "ada" },
      body: new Uint8Array([0x7b, 0xff, 0x7d]),
    });
    expect(response.status).toBe(400);
  });

  it("takes a body at the limit and refuses one byte more, before the object hears of it", async () => {
    const front = testFront({ MAX_FRAME_BYTES: "100" }, accepting);
    const fitting = JSON.stringify({ code: "x".repeat(100 - '{"code":""}'.length) });
    expect(fitting.length).toBe(100);
    expect((await call(front, "POST", "/api/v1/execute", fitting)).status).toBe(202);
    const response = await call(front, "POST", "/api/v1/execute", `${fitting} `);
    expect([response.status, (await problemOf(response)).code]).toEqual([413, "payload_too_large"]);
    expect(front.calls.length).toBe(1);
  });

  it("stops reading an endless body that does not say its length", async () => {
    let pulled = 0;
    let cancelled = false;
    const body = new ReadableStream<Uint8Array>({
      pull(controller) {
        pulled += 1;
        controller.enqueue(new Uint8Array(64 * 1024).fill(32));
      },
      cancel() {
        cancelled = true;
      },
    });
    const front = testFront({ MAX_FRAME_BYTES: "10000" }, accepting);
    const response = await front.fetch("/api/v1/execute", { method: "POST", headers: { "client-id": "ada" }, body });
    expect(response.status).toBe(413);
    // So much is read all the same, lest the connection be reset before the answer is.
    expect(pulled * 64 * 1024).toBeLessThan(17 * 1024 * 1024);
    expect(cancelled).toBe(true);
  });

  it("waits as long as asked, and answers with the ended execution", async () => {
    const front = testFront({}, { ...accepting, waitForExecution: () => ok(EXECUTION) });
    const response = await call(front, "POST", "/api/v1/execute?wait=0.5", { code: "1", id: "run-1" });
    expect(response.status).toBe(200);
    expect(await response.json()).toEqual(EXECUTION);
    expect(front.calls[1]).toMatchObject({ method: "waitForExecution", args: [{}, "run-1", 0.5] });
  });

  it("answers as without waiting where the execution outlasts it", async () => {
    const front = testFront({}, { ...accepting, waitForExecution: () => ok(null) });
    const response = await call(front, "POST", "/api/v1/execute?wait=60", { code: "1", id: "run-1" });
    expect(response.status).toBe(202);
    expect(await response.json()).toEqual({ execution_id: "run-1", status: "running", session: "default" });
  });

  it.each(["61", "-1", "x", "Infinity", "NaN", "1,5"])("refuses to wait for %s seconds", async (wait) => {
    const front = testFront({}, accepting);
    const response = await call(front, "POST", `/api/v1/execute?wait=${wait}`, { code: "1" });
    expect(response.status).toBe(400);
    expect((await problemOf(response)).errors[0].path).toBe("wait");
    expect(front.calls).toEqual([]);
  });

  it.each([
    ["text/event-stream", "sse"],
    ["application/x-ndjson", "ndjson"],
    ["application/json;q=0.1, text/event-stream;q=0.9", "sse"],
  ])("streams the events for %s", async (accept, format) => {
    const front = testFront({}, { ...accepting, streamEvents: () => ok(new Blob(["events"]).stream()) });
    const response = await call(front, "POST", "/api/v1/execute", { code: "1", id: "run-1" }, { accept });
    expect(response.status).toBe(200);
    expect(response.headers.get("content-type")).toBe(format === "sse" ? "text/event-stream" : "application/x-ndjson");
    expect(new TextDecoder().decode(await response.arrayBuffer())).toBe("events");
    expect(front.calls[1]).toMatchObject({ method: "streamEvents", args: [{}, "run-1", 0, format] });
  });

  it("runs nothing twice where the call breaks on the way and is made again", async () => {
    let attempts = 0;
    const ids: string[] = [];
    const front = testFront(
      {},
      {
        execute: (_caller: unknown, body: Body) => {
          ids.push(body.id);
          attempts += 1;
          if (attempts < 3) throw Object.assign(new Error("the object was evicted"), { retryable: true });
          return ok({ execution_id: body.id, status: "running", session: "default" });
        },
      },
    );
    expect((await call(front, "POST", "/api/v1/execute", { code: "1" })).status).toBe(202);
    expect(attempts).toBe(3);
    expect(new Set(ids).size).toBe(1);
  });
});

describe("the other calls about executions", () => {
  it("lists with checked limits", async () => {
    const front = testFront({}, { listExecutions: () => ok({ executions: [], next: null }) });
    await call(front, "GET", "/api/v1/executions?session=s&limit=200&before=x");
    expect(front.calls[0]?.args[1]).toEqual({ session: "s", limit: 200, before: "x" });
    await call(front, "GET", "/api/v1/executions");
    expect(front.calls[1]?.args[1]).toEqual({ limit: 50 });
    for (const [query, path] of [
      ["limit=0", "limit"],
      ["limit=201", "limit"],
      ["limit=1.5", "limit"],
      ["session=-", "session"],
      ["before=", "before"],
    ]) {
      const response = await call(front, "GET", `/api/v1/executions?${query}`);
      expect(response.status).toBe(400);
      expect((await problemOf(response)).errors[0].path).toBe(path);
    }
  });

  it("follows events from the later of `after` and Last-Event-ID", async () => {
    const front = testFront({}, { streamEvents: () => ok(new Blob([]).stream()) });
    const cases: [string, Record<string, string>, number, string][] = [
      ["", {}, 0, "sse"],
      ["?after=7", {}, 7, "sse"],
      ["?after=7", { "last-event-id": "9" }, 9, "sse"],
      ["?after=7", { "last-event-id": "3", accept: "application/x-ndjson" }, 7, "ndjson"],
    ];
    for (const [index, [query, headers, after, format]] of cases.entries()) {
      const response = await call(front, "GET", `/api/v1/executions/e1/events${query}`, undefined, headers);
      expect(response.status).toBe(200);
      expect(front.calls[index]?.args.slice(1)).toEqual(["e1", after, format]);
    }
    for (const [query, headers, path] of [
      ["?after=-1", {}, "after"],
      ["?after=x", {}, "after"],
      ["", { "last-event-id": "abc" }, "last-event-id"],
    ] as const) {
      const response = await call(front, "GET", `/api/v1/executions/e1/events${query}`, undefined, headers);
      expect([response.status, (await problemOf(response)).errors[0].path]).toEqual([400, path]);
    }
  });

  it("opens no stream for a HEAD", async () => {
    const front = testFront({}, { getExecution: () => ok(EXECUTION) });
    const response = await call(front, "HEAD", "/api/v1/executions/e1/events");
    expect([response.status, response.headers.get("content-type")]).toEqual([200, "text/event-stream"]);
    expect(front.calls.map((made) => made.method)).toEqual(["getExecution"]);
  });

  it("hands odd ids on as they are, and has nothing under impossible ones", async () => {
    const front = testFront({}, { getExecution: () => ok(EXECUTION) });
    for (const id of ["a/b", "..", "é ☃", "__proto__", "%", "a\nb"]) {
      await call(front, "GET", `/api/v1/executions/${encodeURIComponent(id).replaceAll(".", "%2E")}x`);
      expect(front.calls.at(-1)?.args[1]).toBe(`${id}x`);
    }
    const count = front.calls.length;
    expect((await call(front, "GET", `/api/v1/executions/${"x".repeat(129)}`)).status).toBe(404);
    expect(front.calls.length).toBe(count);
  });

  it("answers input with text or end of file, and nothing else", async () => {
    const front = testFront();
    for (const value of ["Ada", "", null]) {
      const response = await call(front, "POST", "/api/v1/executions/e1/input", { input_id: "i1", value });
      expect([response.status, await response.text()]).toEqual([204, ""]);
      expect(front.calls.at(-1)?.args.slice(1)).toEqual(["e1", "i1", value]);
    }
    for (const [body, path] of [
      [{ input_id: "i1" }, "value"],
      [{ input_id: "i1", value: 5 }, "value"],
      [{ value: "x" }, "input_id"],
      [{ input_id: "", value: "x" }, "input_id"],
    ] as const) {
      const response = await call(front, "POST", "/api/v1/executions/e1/input", body);
      expect([response.status, (await problemOf(response)).errors[0].path]).toEqual([400, path]);
    }
  });

  it("cancels", async () => {
    const front = testFront({}, { cancel: () => ok(EXECUTION) });
    const response = await call(front, "POST", "/api/v1/executions/e1/cancel");
    expect(response.status).toBe(202);
    expect(await response.json()).toEqual(EXECUTION);
  });
});
