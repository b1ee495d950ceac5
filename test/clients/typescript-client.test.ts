/** The TypeScript client against everything real: the scenarios that every client runs, over a socket and over HTTP alone, and what is its own. */
import { readFileSync } from "node:fs";
import { SignJWT } from "jose";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { WebSocket as WsSocket } from "ws";
import { runStep } from "../../scripts/run-step.ts";
import { type Client, ClientError, type ClientOptions, connect, PythonError } from "../../src/client/index.ts";
import { type CuttingProxy, startCuttingProxy } from "../support/cutting-proxy.ts";
import { type Product, startProduct } from "../support/product.ts";
import { expectOutcome, type RunStep, scenarios } from "./scenario.ts";

let product: Product;
let proxy: CuttingProxy;
beforeAll(async () => {
  product = await startProduct({ MAX_SESSIONS_PER_CLIENT: "8" });
  proxy = await startCuttingProxy(product.url);
});
afterAll(async () => {
  await proxy?.close();
  await product?.stop();
});

const clients: Client[] = [];
afterEach(async () => {
  for (const client of clients.splice(0)) {
    client.close();
    await client.endSession({ purge: true });
  }
});

function open(options: Partial<ClientOptions> = {}): Client {
  const client = connect({
    url: proxy.url,
    onConnection: (state) => {
      if (state === "open") opened.set(client, (opened.get(client) ?? 0) + 1);
    },
    ...options,
  });
  clients.push(client);
  return client;
}

/** How often connections were made, by client. */
const opened = new Map<Client, number>();

function deferred(): { promise: Promise<void>; resolve: () => void } {
  let resolve: () => void = () => undefined;
  const promise = new Promise<void>((done) => {
    resolve = done;
  });
  return { promise, resolve };
}

async function takeStep(client: Client, step: RunStep): Promise<void> {
  const inputs = [...(step.inputs ?? [])];
  let chars = 0;
  let isDone = false;
  let asides: Promise<unknown> = Promise.resolve();
  const outcome = await client.run(step.run, {
    ...(step.timeout === undefined ? {} : { timeout: step.timeout }),
    ...(step.policy === undefined ? {} : { policy: step.policy }),
    onInput: () => inputs.shift() ?? null,
    onOutput: (text) => {
      chars += text.length;
      if (isDone) return;
      if (step.interruptAfterOutput) {
        isDone = true;
        asides = client.interrupt();
      } else if (step.cutAfterChars !== undefined && chars >= step.cutAfterChars) {
        isDone = true;
        proxy.cut();
      }
    },
  });
  await asides;
  expectOutcome(outcome, step);
  const hasSocket = (opened.get(client) ?? 0) > 0;
  if (hasSocket && step.cutAfterChars !== undefined) expect(opened.get(client)).toBe(2);
}

describe.each([
  ["over a WebSocket", {}],
  ["over HTTP alone", { WebSocket: null }],
])("%s", (_, options) => {
  it.each(scenarios.map(({ name, steps }) => [name, steps] as const))("%s", async (_name, steps) => {
    const client = open(options);
    const checkpoints = new Map<string, string>();
    for (const step of steps) {
      if ("run" in step) await takeStep(client, step);
      else if ("checkpoint" in step) {
        checkpoints.set(step.checkpoint, (await client.checkpoint(step.checkpoint)).checkpoint_id);
      } else await client.restore(checkpoints.get(step.restore) ?? "");
    }
  });

  it("has its functions called by Python, and raises there what they throw", async () => {
    const tools = {
      add: { description: "Adds", run: ({ a, b }: Record<string, unknown>) => Number(a) + Number(b) },
      fail: () => {
        throw new RangeError("too far");
      },
    };
    const code = `import tools
try:
    tools.fail()
except tools.ToolError as error:
    print(error.type, error.message)
tools.add(a=2, b=3)`;
    const { value, stdout, toolCalls } = await open(options).run(code, { tools });
    expect({ value, stdout }).toEqual({ value: 5, stdout: "RangeError too far\n" });
    expect(toolCalls.map(({ name, status }) => `${name} ${status}`)).toEqual(["fail error", "add ok"]);
  });

  it("offers tools to all code of the session", async () => {
    const client = open(options);
    expect(await client.offerTools({ "get-time": () => 12 })).toEqual({ "get-time": "get_time" });
    expect((await client.run("import tools\ntools.get_time()")).value).toBe(12);
  });

  it("takes up an execution of a program that is gone, answers it, and calls a tool once", async () => {
    const gone = connect({ url: product.url, ...options });
    const code = "import tools\nprint('begun')\nname = input('Who? ')\nprint('Hello', name)\ntools.count()";
    await gone.offerTools({ count: () => 0 });
    const { promise: asked, resolve } = deferred();
    const left = gone.run(code, { onEvent: ({ type }) => type === "input" && resolve() });
    await asked;
    gone.close();
    await expect(left).rejects.toMatchObject({ code: "closed" });
    const client = open({ ...options, clientId: gone.clientId });
    let calls = 0;
    await client.offerTools({ count: () => ++calls });
    const resumed = client.resume(left.executionId, { onInput: () => "Ada" });
    expect(await resumed).toMatchObject({ ok: true, value: 1, stdout: "begun\nHello Ada\n" });
    expect(calls).toBe(1);
    expect((await client.resume(left.executionId)).stdout).toBe("begun\nHello Ada\n");
    await expect(client.resume("never-submitted")).rejects.toMatchObject({ code: "not_found" });
  });

  it("cancels a run by its signal", async () => {
    const abort = new AbortController();
    const run = open(options).run("print('on', flush=True)\nwhile True: pass", {
      signal: abort.signal,
      onOutput: () => abort.abort(),
    });
    expect((await run).error?.reason).toBe("cancelled");
  });
});

it("answers the tool calls of code that another client runs", async () => {
  const host = open();
  await host.offerTools({ where: () => "here" });
  const other = open({ clientId: host.clientId });
  expect((await other.run("import tools\ntools.where()")).value).toBe("here");
});

it("does what the sample in docs/clients.md shows", async () => {
  const sample = /```ts\n([\s\S]*?)```/.exec(readFileSync("docs/clients.md", "utf8"))?.[1] ?? "";
  const here = sample.replace("http://127.0.0.1:8787", product.url);
  expect(here).not.toBe(sample);
  const { exitCode, printed } = await runStep(process.execPath, ["--input-type=module", "--eval", here]);
  expect({ exitCode, printed }).toEqual({ exitCode: 0, printed: "stdout Hello Ada\n\n3 true\n" });
});

it("works with the WebSocket of ws", async () => {
  expect((await open({ WebSocket: WsSocket }).run("1 + 1")).value).toBe(2);
});

it("gives each event in its order to a loop", async () => {
  const seen: string[] = [];
  for await (const event of open().run("print(1)\n2")) {
    // A busy machine may send one print in several events.
    if (seen.at(-1) !== event.type) seen.push(event.type);
  }
  expect(seen).toEqual(["output", "result"]);
});

it("slows the code down where a loop is slow, and loses nothing", async () => {
  const client = open({ windowBytes: 1024 * 1024 });
  let text = "";
  let pauses = 0;
  for await (const event of client.run("for i in range(400_000): print(f'{i:019d}')", { timeout: 60 })) {
    if (event.type !== "output") continue;
    text += event.data.data;
    if (pauses++ < 20) await new Promise((resolve) => setTimeout(resolve, 20));
  }
  expect(text.length).toBe(8_000_000);
  expect(text.endsWith(`${"399999".padStart(19, "0")}\n`)).toBe(true);
});

it("answers a question again whose answer was lost with the connection", async () => {
  const client = open();
  const outcome = await client.run("name = input()\nname", {
    onInput: () => {
      proxy.cut();
      return "Ada";
    },
  });
  expect(outcome.value).toBe("Ada");
  expect(opened.get(client)).toBe(2);
});

it("runs code once that is sent twice under one id, and gives its events again", async () => {
  const client = open();
  await client.run("count = 0");
  await client.run("count += 1\nprint(count)", { id: "once" });
  expect((await client.run("count += 1\nprint(count)", { id: "once" })).stdout).toBe("1\n");
  const refused = client.run("other", { id: "once" });
  await expect(refused).rejects.toMatchObject({ code: "idempotency_conflict", status: 409 });
});

it("undoes every run of a transaction that fails", async () => {
  const client = open();
  await client.run("x = 1");
  const failed = client.transaction(async (transaction) => {
    await transaction.run("x = 2");
    await transaction.run("1 / 0");
  });
  await expect(failed).rejects.toBeInstanceOf(PythonError);
  expect((await client.run("x")).value).toBe(1);
  await client.transaction((transaction) => transaction.run("x = 3"));
  expect((await client.run("x")).value).toBe(3);
  expect(await client.checkpoints()).toEqual([]);
});

it("completes code and tells whether it is complete, counting as JavaScript does", async () => {
  const client = open();
  await client.run("alpha_beta = 1");
  const code = "'😀'; alpha_b";
  expect(await client.complete(code)).toMatchObject({ matches: ["alpha_beta"], cursor_start: 6, cursor_end: 13 });
  expect(await client.isComplete("for i in x:")).toMatchObject({ status: "incomplete" });
});

it("keeps sessions apart, and lists them", async () => {
  const client = open();
  const other = client.openSession("other");
  clients.push(other);
  await client.run("x = 1");
  await other.run("x = 2");
  expect((await client.run("x")).value).toBe(1);
  expect((await client.sessions()).map(({ session }) => session as string).sort()).toEqual(["default", "other"]);
});

it("branches a session as it is now, and as in a checkpoint", async () => {
  const client = open();
  await client.run("x = 1");
  const { checkpoint_id: checkpointId } = await client.checkpoint();
  await client.run("x = 2");
  expect(await client.branch("now")).toMatchObject({ from: "default", missing: [] });
  await client.branch("before", { checkpointId });
  const [now, before] = ["now", "before"].map((name) => client.openSession(name)) as [Client, Client];
  clients.push(now, before);
  expect((await now.run("x += 10\nx")).value).toBe(12);
  expect((await before.run("x")).value).toBe(1);
  expect((await client.run("x")).value).toBe(2);
  await expect(client.branch("now")).rejects.toMatchObject({ code: "session_exists", status: 409 });
});

it.each([
  ["over a WebSocket", {}],
  ["over HTTP", { WebSocket: null }],
])("undoes the last execution, and one before it (%s)", async (_, options) => {
  const client = open(options);
  // With this policy each execution has a copy, also if they follow each other at once.
  const policy = "rollback_on_failure";
  await client.run("x = 1", { policy });
  const second = await client.run("x = 2", { policy });
  const third = await client.run("x = 3", { policy });
  expect(await client.undo()).toMatchObject({ status: "restored", execution_id: third.executionId });
  expect((await client.run("x", { policy })).value).toBe(2);
  await client.undo(second.executionId);
  expect((await client.run("x")).value).toBe(1);
  await expect(client.undo("nothing")).rejects.toMatchObject({ code: "undo_unavailable", status: 410 });
});

it("says why it cannot run: nobody listens, a wrong client id", async () => {
  const nobody = connect({ url: "http://127.0.0.1:9", openTimeoutMs: 500 });
  await expect(nobody.run("1")).rejects.toMatchObject({ code: "unreachable" });
  const wrong = connect({ url: product.url, clientId: "no spaces" });
  await expect(wrong.run("1")).rejects.toMatchObject({ code: "client_id_invalid", status: 400 });
  await expect(wrong.overview()).rejects.toBeInstanceOf(ClientError);
});

it("cancels the run and fails where a callback throws", async () => {
  const client = open();
  const run = client.run("print(1, flush=True)\nwhile True: pass", {
    onOutput: () => {
      throw new Error("mine");
    },
  });
  await expect(run).rejects.toThrow("mine");
  expect((await client.run("2")).value).toBe(2);
});

it("fails what waits when it is closed", async () => {
  const client = open();
  const run = client.run("while True: pass");
  client.close();
  await expect(run).rejects.toMatchObject({ code: "closed" });
});

describe("with authentication", () => {
  const secret = "s".repeat(32);
  const sign = (subject: string) =>
    new SignJWT({ sub: subject }).setProtectedHeader({ alg: "HS256" }).sign(new TextEncoder().encode(secret));
  let guarded: Product;
  beforeAll(async () => {
    guarded = await startProduct({ JWT_SECRET: secret, POOL_MIN_IDLE: "1" });
  });
  afterAll(async () => {
    await guarded?.stop();
  });

  it("sends its token, over a WebSocket and over HTTP", async () => {
    using client = connect({ url: guarded.url, clientId: "ada", token: () => sign("tenant") });
    expect((await client.run("6 * 7")).value).toBe(42);
    expect(await client.overview()).toMatchObject({ client_id: "ada", executions: 1 });
    using other = connect({ url: guarded.url, clientId: "ada", token: await sign("stranger"), WebSocket: null });
    expect(await other.overview()).toMatchObject({ executions: 0 });
  });

  it("says at once that a token is missing or wrong", async () => {
    using none = connect({ url: guarded.url });
    await expect(none.run("1")).rejects.toMatchObject({ code: "unauthorized", status: 401 });
    using wrong = connect({ url: guarded.url, token: "wrong" });
    await expect(wrong.checkpoint()).rejects.toMatchObject({ code: "unauthorized" });
  });
});
