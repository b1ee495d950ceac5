/** Holds the running product to the wire contract, as a client sees it: seed loop, events, REST, problems, input, interrupts. */
import { afterAll, beforeAll, expect, it } from "vitest";
import { Execution } from "../../src/protocol/rest.ts";
import { SessionOverview } from "../../src/protocol/session-resource.ts";
import { type Product, startProduct } from "../support/product.ts";
import { type Frame, SocketClient, textOf } from "../support/socket-client.ts";

let product: Product;
const open = (options = {}) =>
  SocketClient.open(product.socketUrl, { clientId: `c-${crypto.randomUUID()}`, ...options });

// biome-ignore lint/suspicious/noExplicitAny: tests look into answers freely
async function call(method: string, path: string, clientId: string | null, body?: unknown, headers = {}): Promise<any> {
  const answer = await fetch(`${product.url}${path}`, {
    method,
    headers: {
      ...(clientId === null ? {} : { "client-id": clientId }),
      ...(body === undefined ? {} : { "content-type": "application/json" }),
      ...headers,
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  const text = await answer.text();
  let json: unknown = null;
  try {
    json = text === "" ? null : JSON.parse(text);
  } catch {
    json = text;
  }
  return { status: answer.status, headers: answer.headers, body: json };
}

beforeAll(async () => {
  product = await startProduct();
});
afterAll(async () => {
  await product?.stop();
});

it("serves the seed's client loop unchanged", async () => {
  const client = await SocketClient.open(`${product.socketUrl}?client_id=seed-client`);
  for (const [code, text] of [
    ["print('Hello'); x = 42", "Hello\n"],
    ["print(x * 2)", "84\n"],
  ]) {
    client.send({ type: "execute", code });
    let printed = "";
    let frame = await client.next();
    // A busy machine may send one print in several frames.
    for (; frame.type === "output"; frame = await client.next()) printed += frame.data.data;
    expect({ printed, type: frame.type }).toEqual({ printed: text, type: "result" });
  }
  await client.close();
});

it("answers REST execute, checkpoint and restore with the seed's bodies", async () => {
  const clientId = crypto.randomUUID();
  const executed = await call("POST", "/api/v1/execute", clientId, { code: "x = 100" });
  expect(executed.status).toBe(202);
  expect(executed.body).toEqual({ execution_id: expect.any(String), status: "running", session: "default" });
  const checkpoint = await call("POST", "/api/v1/checkpoint", clientId);
  expect(checkpoint.status).toBe(201);
  expect(checkpoint.body.durable).toBe(true);
  await call("POST", "/api/v1/execute?wait=10", clientId, { code: "x = 1" });
  const restored = await call("POST", `/api/v1/restore/${checkpoint.body.checkpoint_id}`, clientId);
  expect(restored.status).toBe(200);
  expect(restored.body).toMatchObject({ status: "restored", source: "snapshot", missing: [] });
  const seen = await call("POST", "/api/v1/execute?wait=10", clientId, { code: "x" });
  expect(seen.status).toBe(200);
  expect(Execution.parse(seen.body)).toMatchObject({ status: "succeeded", result: { value: 100 } });
});

it("reports output, values, errors and streams in order", async () => {
  const client = await open();
  const events = await client.run(
    "import sys\nprint('a')\nprint('b', file=sys.stderr)\nprint('c')\n{'k': [1, None, 2.5]}",
  );
  expect(
    events
      .filter((event) => event.type === "output")
      .map((event) => event.data.data)
      .join(""),
  ).toBe("a\nb\nc\n");
  expect(textOf(events, "stderr")).toBe("b\n");
  expect(events.at(-1)?.data).toMatchObject({
    value: { k: [1, null, 2.5] },
    repr: "{'k': [1, None, 2.5]}",
    transaction: "committed",
  });
  const failed = (await client.run("def f():\n    return 1/0\nf()")).at(-1);
  expect(failed?.type).toBe("error");
  expect(failed?.data).toMatchObject({
    exception_type: "ZeroDivisionError",
    exception_message: "division by zero",
    reason: "exception",
    transaction: "committed",
    state: "kept",
  });
  expect(failed?.data.traceback).toContain("return 1/0");
  expect((await client.run("a b c")).at(-1)?.data.exception_type).toBe("SyntaxError");
  expect(await client.value("object()")).toBeNull();
  expect(await client.value("import asyncio\nawait asyncio.sleep(0, 'awaited')")).toBe("awaited");
  expect(await client.value("_")).toBe("awaited");
  expect(await client.value("__name__")).toBe("__main__");
  const seqs = client.frames.map((frame) => frame.seq as number);
  expect(seqs).toEqual([...new Set(seqs)].sort((a, b) => a - b));
  await client.close();
});

it("tells a client and the execution's stream where output was cleared", async () => {
  const clientId = crypto.randomUUID();
  const client = await open({ clientId });
  const code = `from IPython.display import clear_output, display
for n in range(3):
    clear_output(wait=n > 0)
    print(n)
display('end')`;
  const events = await client.run(code, { id: "cleared" });
  const expected = [
    { type: "clear_output", wait: false },
    "0\n",
    { type: "clear_output", wait: true },
    "1\n",
    { type: "clear_output", wait: true },
    "2\n",
    "display",
    "result",
  ];
  const told = (frames: Frame[]) =>
    frames.map(({ type, data }) => ("wait" in data ? { type, wait: data.wait } : type === "output" ? data.data : type));
  expect(told(events)).toEqual(expected);
  const stream = await call("GET", "/api/v1/executions/cleared/events", clientId, undefined, {
    accept: "application/x-ndjson",
  });
  expect(
    told(
      stream.body
        .trim()
        .split("\n")
        .map((line: string) => JSON.parse(line)),
    ),
  ).toEqual(expected);
  // The text of an execution is all that was printed: a client that was not there to clear it reads it whole.
  expect((await call("GET", "/api/v1/executions/cleared", clientId)).body).toMatchObject({ stdout: "0\n1\n2\n" });
  await client.close();
});

it("captures what C code and subprocesses write, in order", async () => {
  const client = await open();
  const events = await client.run(
    "import os, subprocess, ctypes\nprint('1')\nsubprocess.run(['echo', '2'])\nprint('3')\nos.write(1, b'4\\n')\nos.system('echo 5')\nprint('6')\nctypes.CDLL(None).puts(b'7')\nprint('8')",
  );
  expect(textOf(events)).toBe("1\n2\n3\n4\n5\n6\n7\n8\n");
  const odd = await client.run("import os\nos.write(1, b'\\xff\\xfe ok\\n'); print('\\ud800 fine')");
  expect(textOf(odd)).toContain(" ok\n");
  expect(textOf(odd)).toContain(" fine\n");
  expect(odd.at(-1)?.type).toBe("result");
  await client.close();
});

it("asks for input and takes one answer", async () => {
  const client = await open();
  client.send({
    type: "execute",
    id: "ask",
    code: "name = input('who? ')\nprint('hello', name)\nimport getpass\nlen(getpass.getpass())",
  });
  const prompt = await client.until((frame) => frame.type === "input");
  expect(prompt.data).toMatchObject({ prompt: "who? ", password: false, execution_id: "ask" });
  client.send({ type: "input_response", id: "wrong", input_id: "nope", value: "x" });
  const problem = await client.until((frame) => frame.type === "problem");
  expect(problem).toMatchObject({ id: "wrong", data: { code: "not_found", status: 404 } });
  client.send({ type: "input_response", input_id: prompt.data.input_id, value: "Ada" });
  const secret = await client.until((frame) => frame.type === "input");
  expect(secret.data.password).toBe(true);
  client.send({ type: "input_response", input_id: secret.data.input_id, value: "four" });
  const result = await client.until((frame) => frame.type === "result");
  expect(result.data.value).toBe(4);
  expect(textOf(client.frames)).toBe("hello Ada\n");
  client.send({ type: "input_response", id: "late", input_id: prompt.data.input_id, value: "again" });
  expect((await client.until((frame) => frame.type === "problem")).id).toBe("late");
  client.send({ type: "execute", id: "eof", code: "input()" });
  const last = await client.until((frame) => frame.type === "input");
  client.send({ type: "input_response", input_id: last.data.input_id, value: null });
  expect((await client.until((frame) => frame.type === "error")).data.exception_type).toBe("EOFError");
  await client.close();
});

it("interrupts sleeps, loops and C loops, and answers afterwards", async () => {
  const client = await open();
  await client.run("kept = 7");
  for (const code of [
    "import time; time.sleep(60)",
    "while True: pass",
    "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN)\nwhile True: pass",
    "print('before'); pow(10, 10**9)",
  ]) {
    const id = crypto.randomUUID();
    client.send({ type: "execute", id, code: `print('go')\n${code}` });
    await client.until((frame) => frame.type === "output" && frame.data.execution_id === id);
    client.send({ type: "interrupt", id: `i-${id}` });
    const terminal = await client.until((frame) => frame.type === "error" && frame.data.execution_id === id);
    expect(terminal.data.reason).toBe("interrupted");
    await expect
      .poll(() => client.frames.some((frame) => frame.type === "interrupted" && frame.id === `i-${id}`))
      .toBe(true);
    expect(await client.value("kept")).toBe(7);
  }
  await client.close();
});

it("ends what takes too long, keeps partial output, and goes on", async () => {
  const client = await open();
  await client.run("kept = 8");
  for (const code of ["import time; time.sleep(60)", "while True: pass", "pow(10, 10**9)"]) {
    const events = await client.run(`print('one')\nprint('two')\n${code}`, { timeout: 2 });
    expect(textOf(events)).toBe("one\ntwo\n");
    expect(events.at(-1)?.data.reason).toBe("timeout");
    expect(await client.value("kept")).toBe(8);
  }
  await client.close();
});

it("brings the state back after the interpreter died", async () => {
  const client = await open();
  await client.run("data = [1, 2, 3]; alias = data");
  for (const code of [
    "import os; os._exit(3)",
    "import ctypes; ctypes.string_at(0)",
    "import os, signal; os.kill(os.getpid(), signal.SIGKILL)",
  ]) {
    const events = await client.run(`data.append(99); print('partial')\n${code}`);
    expect(textOf(events)).toBe("partial\n");
    expect(events.at(-1)?.data).toMatchObject({
      reason: "process_died",
      state: "recovered",
      transaction: "rolled_back",
    });
    expect(await client.value("data.append(4); alias.pop() == 4 and alias")).toEqual([1, 2, 3]);
  }
  await client.close();
});

it("rolls back as the policy says", async () => {
  const client = await open();
  await client.run("items = [1]; alias = items");
  const failed = await client.run("alias.append(2); 1/0", { transaction_policy: "rollback_on_failure" });
  expect(failed.at(-1)?.data).toMatchObject({ transaction: "rolled_back", state: "rolled_back" });
  expect(await client.value("items")).toEqual([1]);
  const always = await client.run("alias.append(3); items", { transaction_policy: "rollback_always" });
  expect(always.at(-1)?.data).toMatchObject({ value: [1, 3], transaction: "rolled_back" });
  expect(await client.value("items")).toEqual([1]);
  const kept = await client.run("alias.append(4); 1/0");
  expect(kept.at(-1)?.data).toMatchObject({ transaction: "committed", state: "kept" });
  expect(await client.value("items")).toEqual([1, 4]);
  await client.close();
});

it("checkpoints and restores over the socket", async () => {
  const client = await open();
  await client.run("import random\nf = lambda: 41 + one\none = 1\nr = random.Random(1)");
  client.send({ type: "checkpoint", id: "k", name: "first" });
  const created = await client.until((frame) => frame.type === "checkpoint_created");
  expect(created.id).toBe("k");
  expect(created.checkpoint_id).toBe(created.data.checkpoint_id);
  await client.run("one = 2; other = 5; del r");
  client.send({ type: "restore", id: "r", checkpoint_id: created.checkpoint_id });
  const restored = await client.until((frame) => frame.type === "restored");
  expect(restored.data).toMatchObject({ status: "restored", source: "snapshot" });
  expect(await client.value("(f(), 'other' in globals(), r.random() > 0)")).toEqual([42, false, true]);
  await client.run("one = 2; other = 5");
  client.send({ type: "restore", id: "m", checkpoint_id: created.checkpoint_id, clear_existing: false });
  expect((await client.until((frame) => frame.type === "restored" && frame.id === "m")).data.status).toBe("restored");
  expect(await client.value("(one, other)")).toEqual([1, 5]);
  client.send({ type: "restore", id: "x", checkpoint_id: "unknown" });
  expect((await client.until((frame) => frame.type === "problem")).data.code).toMatch(
    /not_found|checkpoint_unavailable/,
  );
  await client.close();
});

it("shows the same events to every attached socket of a client, and replays what one missed", async () => {
  const clientId = `m-${crypto.randomUUID()}`;
  const one = await open({ clientId });
  const two = await open({ clientId });
  two.send({ type: "attach" });
  await two.until((frame) => frame.type === "attached");
  const events = await one.run("print('x'); 1");
  const seen = await two.until((frame) => frame.type === "result");
  expect(seen.seq).toBe(events.at(-1)?.seq);
  two.cut();
  const more = await one.run("print('y' * 10); 2");
  const three = await open({ clientId });
  three.send({ type: "attach", id: "a", after: events.at(-1)?.seq });
  const attached = await three.until((frame) => frame.type === "attached");
  expect(attached.data).toMatchObject({
    client_id: clientId,
    session: "default",
    last_seq: more.at(-1)?.seq,
    running: null,
  });
  expect(three.frames.filter((frame) => frame.seq !== undefined)).toEqual(more);
  await one.close();
  await three.close();
});

it("runs an id once, and says when it is used for other code", async () => {
  const client = await open();
  await client.run("n = 0");
  const first = await client.run("n += 1; n", { id: "once" });
  const again = await client.run("n += 1; n", { id: "once" });
  expect(again).toEqual(first);
  client.send({ type: "execute", id: "once", code: "n += 2" });
  expect(await client.until((frame) => frame.type === "problem")).toMatchObject({
    id: "once",
    data: { code: "idempotency_conflict", status: 409 },
  });
  expect(await client.value("n")).toBe(1);
  await client.close();
});

it("cancels a queued execution without running it", async () => {
  const client = await open();
  client.send({ type: "execute", id: "long", code: "print('on')\nimport time; time.sleep(30)" });
  client.send({ type: "execute", id: "queued", code: "ran = True" });
  await client.until((frame) => frame.type === "output");
  client.send({ type: "cancel", id: "c1", execution_id: "queued" });
  const cancelled = await client.until((frame) => frame.type === "error");
  expect(cancelled.data).toMatchObject({ execution_id: "queued", reason: "cancelled" });
  client.send({ type: "cancel", id: "c2", execution_id: "long" });
  const second = await client.until((frame) => frame.type === "error");
  expect(second.data).toMatchObject({ execution_id: "long", reason: "cancelled" });
  expect(await client.value("'ran' in globals()")).toBe(false);
  client.send({ type: "cancel", id: "c3", execution_id: "nobody" });
  expect((await client.until((frame) => frame.type === "problem")).data.code).toBe("not_found");
  await client.close();
});

it("completes names and judges completeness", async () => {
  const client = await open();
  await client.run("alphabet = 'abc'");
  client.send({ type: "complete", id: "a", code: "alphab", cursor: 6 });
  const completions = await client.until((frame) => frame.type === "completions");
  expect(completions.data.matches).toContain("alphabet");
  expect(completions.data).toMatchObject({ cursor_start: 0, cursor_end: 6 });
  for (const [code, status] of [
    ["x = 1", "complete"],
    ["def f():", "incomplete"],
    ["a b", "invalid"],
  ] as const) {
    client.send({ type: "is_complete", id: code, code });
    expect((await client.until((frame) => frame.type === "completeness" && frame.id === code)).data.status).toBe(
      status,
    );
  }
  client.send({ type: "ping", id: "p" });
  expect((await client.until((frame) => frame.type === "pong")).id).toBe("p");
  await client.close();
});

it("answers bad messages with problems and keeps the socket", async () => {
  const client = await open();
  client.socket.send("not json");
  expect((await client.next()).data).toMatchObject({ code: "invalid_request", status: 400 });
  client.send({ type: "teleport", id: "t" });
  expect(await client.next()).toMatchObject({ type: "problem", id: "t", data: { code: "invalid_request" } });
  client.send({ type: "execute", id: "e" });
  expect((await client.next()).data.errors[0].path).toBe("code");
  client.send({ type: "execute", id: "e2", code: "1", timeout: 301 });
  expect((await client.next()).data.code).toBe("invalid_request");
  client.send({ type: "execute", id: "e3", code: "x".repeat(1024 * 1024 + 1) });
  expect((await client.next()).data.code).toBe("payload_too_large");
  expect(await client.value("1 + 1")).toBe(2);
  await client.close();
});

it("answers bad REST calls with problems", async () => {
  const check = async (
    expected: [number, string],
    method: string,
    path: string,
    clientId: string | null,
    body?: unknown,
  ) => {
    const answer = await call(method, path, clientId, body);
    expect([answer.status, answer.body.code], path).toEqual(expected);
    expect(answer.headers.get("content-type")).toContain("application/problem+json");
    expect(answer.body).toMatchObject({
      type: expect.any(String),
      title: expect.any(String),
      status: expected[0],
      detail: expect.any(String),
      request_id: expect.any(String),
    });
  };
  await check([400, "client_id_required"], "POST", "/api/v1/execute", null, { code: "1" });
  await check([400, "client_id_invalid"], "POST", "/api/v1/execute", "-bad", { code: "1" });
  await check([400, "invalid_request"], "POST", "/api/v1/execute", "rest-bad", { kode: "1" });
  await check([400, "invalid_request"], "POST", "/api/v1/execute", "rest-bad", {
    code: "1",
    transaction_policy: "maybe",
  });
  await check([404, "not_found"], "GET", "/api/v1/executions/none", "rest-bad");
  await check([404, "not_found"], "GET", "/api/v1/checkpoints/none", "rest-bad");
  await check([404, "not_found"], "GET", "/api/v1/nowhere", "rest-bad");
  await check([426, "upgrade_required"], "GET", "/ws/v1/session?client_id=a", null);
});

it("keeps executions as resources", async () => {
  const clientId = `r-${crypto.randomUUID()}`;
  const accepted = await call(
    "POST",
    "/api/v1/execute",
    clientId,
    { code: "name = input('n? '); print('got', name); name" },
    { "idempotency-key": "ask" },
  );
  expect(accepted.body.execution_id).toBe("ask");
  let execution: Execution;
  do execution = Execution.parse((await call("GET", "/api/v1/executions/ask", clientId)).body);
  while (execution.pending_input === null);
  expect(execution.status).toBe("running");
  const answer = await call("POST", "/api/v1/executions/ask/input", clientId, {
    input_id: execution.pending_input.input_id,
    value: "Bob",
  });
  expect(answer.status).toBe(204);
  const events = await (
    await fetch(`${product.url}/api/v1/executions/ask/events`, {
      headers: { "client-id": clientId, accept: "application/x-ndjson" },
    })
  ).text();
  const lines = events
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line));
  expect(lines.at(-1)).toMatchObject({ type: "result", data: { value: "Bob" } });
  const sse = await (
    await fetch(`${product.url}/api/v1/executions/ask/events`, {
      headers: { "client-id": clientId, "last-event-id": String(lines.at(-2).seq) },
    })
  ).text();
  expect(sse.match(/^id: ?(\d+)$/gm)?.length).toBe(1);
  const done = Execution.parse((await call("GET", "/api/v1/executions/ask", clientId)).body);
  expect(done).toMatchObject({
    status: "succeeded",
    stdout: "got Bob\n",
    result: { value: "Bob" },
    last_seq: lines.at(-1).seq,
  });
  const again = await call("POST", "/api/v1/execute", clientId, { code: "other", id: "ask" });
  expect([again.status, again.body.code]).toEqual([409, "idempotency_conflict"]);
  const list = await call("GET", "/api/v1/executions?limit=1", clientId);
  expect(list.body.executions.length).toBe(1);
  const overview = SessionOverview.parse((await call("GET", "/api/v1/session", clientId)).body);
  expect(overview).toMatchObject({ session: "default", state: "ready", executions: 1 });
  expect((await call("GET", "/api/v1/sessions", clientId)).body.sessions.length).toBe(1);
  expect((await call("POST", "/api/v1/session/reset", clientId)).status).toBe(202);
  expect((await call("POST", "/api/v1/execute?wait=10", clientId, { code: "name" })).body).toMatchObject({
    status: "failed",
    error: { exception_type: "NameError" },
  });
  expect((await call("DELETE", "/api/v1/session?purge=true", clientId)).status).toBe(204);
  expect((await call("GET", "/api/v1/executions", clientId)).body.executions).toEqual([]);
});

it("streams an execution as SSE and as NDJSON", async () => {
  const clientId = `s-${crypto.randomUUID()}`;
  for (const accept of ["text/event-stream", "application/x-ndjson"]) {
    const answer = await fetch(`${product.url}/api/v1/execute`, {
      method: "POST",
      headers: { "client-id": clientId, "content-type": "application/json", accept },
      body: JSON.stringify({ code: "for i in range(3): print(i)\n'end'" }),
    });
    expect(answer.status).toBe(200);
    expect(answer.headers.get("content-type")).toContain(accept);
    const text = await answer.text();
    expect(text).toContain('"result"');
    expect(text).toContain("end");
  }
});

it("limits the sessions of a client, and keeps them apart", async () => {
  const clientId = `l-${crypto.randomUUID()}`;
  for (const [index, session] of ["a", "b", "c", "d"].entries()) {
    expect(
      (await call("POST", "/api/v1/execute?wait=10", clientId, { code: `x = ${index}; x`, session })).body.result.value,
    ).toBe(index);
  }
  const fifth = await call("POST", "/api/v1/execute", clientId, { code: "1", session: "e" });
  expect([fifth.status, fifth.body.code]).toEqual([429, "session_limit"]);
  expect(fifth.headers.get("retry-after")).not.toBeNull();
  expect((await call("POST", "/api/v1/execute?wait=10", clientId, { code: "x", session: "a" })).body.result.value).toBe(
    0,
  );
});

it("tells its capabilities, health, readiness and its own description", async () => {
  const capabilities = await call("GET", "/api/v1/capabilities", "caps");
  expect(capabilities.status).toBe(200);
  expect(capabilities.body.python.version).toMatch(/^3\./);
  expect((await call("GET", "/health", null)).status).toBe(200);
  expect((await call("GET", "/ready", null)).status).toBe(200);
  const description = await call("GET", "/openapi.json", null);
  expect(description.body.openapi).toMatch(/^3\.1/);
  expect(Object.keys(description.body.paths)).toContain("/api/v1/execute");
  expect((await call("GET", "/docs", null)).status).toBe(200);
  expect((await call("GET", "/", null)).body).toContain("<html");
});
