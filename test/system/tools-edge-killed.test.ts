/** Tool calls while the edge's process is killed in the middle: each is answered exactly once, and seen once by a client that resumes. */
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, expect, it } from "vitest";
import { findProcesses } from "../support/processes.ts";
import { type Product, startProduct } from "../support/product.ts";
import { type Frame, SocketClient } from "../support/socket-client.ts";

let product: Product;
beforeAll(async () => {
  product = await startProduct();
});
afterAll(async () => {
  await product?.stop();
});

const ECHO = { name: "echo", timeout: 100 };
const CALLS = 64;
const READY_MS = 30_000;
const POLL_MS = 20;

/** Both keep what each call returned in `results`, in the order of `n`. */
const codes = {
  blocking: `import tools\nresults = [tools.echo(n=n) for n in range(${CALLS})]\nresults`,
  async: `import asyncio, tools\nresults = await asyncio.gather(*(tools.aio.echo(n=n) for n in range(${CALLS})))\nresults`,
};

interface Owed {
  call_id: string;
  arguments: { n: number };
}

/** A client that answers calls: no two answers have the same value, so that it shows which one Python got. */
interface Answerer {
  /** Answers what waits, until `goOn` says no or the execution has ended. */
  answer(goOn: () => boolean): Promise<void>;
  /** Number of answers that were sent so far. */
  sent: number;
  hasEnded: boolean;
}

let attempt = 0;
const valueFor = ({ arguments: { n } }: Owed) => {
  attempt += 1;
  return { n, attempt };
};

/** Kills the edge's process and waits until its successor takes calls. */
async function killEdge(): Promise<void> {
  for (const pid of findProcesses(product.pid, "workerd")) process.kill(pid, "SIGKILL");
  const isReady = () =>
    fetch(`${product.url}/ready`).then(
      (answer) => answer.ok,
      () => false,
    );
  await expect.poll(isReady, { timeout: READY_MS }).toBe(true);
}

/** Over a socket, which goes before each kill and resumes behind the last event that it saw. */
function socketAnswerer(clientId: string, seen: Frame[]): Answerer {
  const self: Answerer = {
    sent: 0,
    hasEnded: false,
    async answer(goOn) {
      const client = await SocketClient.open(product.socketUrl, { clientId });
      client.send({ type: "attach", after: seen.at(-1)?.seq ?? 0 });
      try {
        while (goOn() && !self.hasEnded) {
          const frame = await client.next();
          if (frame.seq !== undefined) seen.push(frame);
          self.hasEnded = frame.type === "result" || frame.type === "error";
          const owed: Owed[] =
            frame.type === "attached" ? frame.data.pending_tool_calls : frame.type === "tool_call" ? [frame.data] : [];
          for (const call of owed) {
            client.send({ type: "tool_result", call_id: call.call_id, value: valueFor(call) });
            self.sent += 1;
          }
        }
      } finally {
        client.cut();
      }
    },
  };
  return self;
}

/** Over REST. The last request of a round is not waited for: the edge is killed while it has it. */
function restAnswerer(clientId: string, accepted: Map<number, number>): Answerer {
  const url = `${product.url}/api/v1/executions/e`;
  const headers = { "client-id": clientId };
  const post = async (call: Owed, value: ReturnType<typeof valueFor>) => {
    const body = JSON.stringify({ results: [{ call_id: call.call_id, value }] });
    const { ok } = await fetch(`${url}/tool-results`, { method: "POST", headers, body });
    if (ok) accepted.set(value.n, value.attempt);
  };
  const self: Answerer = {
    sent: 0,
    hasEnded: false,
    async answer(goOn) {
      while (!self.hasEnded) {
        const execution = (await (await fetch(url, { headers })).json()) as {
          status: string;
          pending_tool_calls: Owed[];
        };
        self.hasEnded = execution.status !== "running";
        if (execution.pending_tool_calls.length === 0) await sleep(POLL_MS);
        for (const call of execution.pending_tool_calls) {
          self.sent += 1;
          const posted = post(call, valueFor(call));
          if (goOn()) await posted;
          else return void posted.catch(() => null);
        }
      }
    },
  };
  return self;
}

/** Every event of the client's journal, from the first one on. */
async function journalOf(clientId: string): Promise<Frame[]> {
  const client = await SocketClient.open(product.socketUrl, { clientId });
  client.send({ type: "attach", after: 0 });
  await client.until(({ type }) => type === "result" || type === "error");
  await client.close();
  return client.frames.filter(({ seq }) => seq !== undefined);
}

function expectEachOnce(events: Frame[], values: { n: number; attempt: number }[]): void {
  expect(events.map(({ seq }) => seq)).toEqual(events.map((_, index) => index + 1));
  const idsOf = (kind: string) => events.filter(({ type }) => type === kind).map(({ data }) => data.call_id);
  const calls = idsOf("tool_call");
  expect(new Set(calls).size).toBe(CALLS);
  expect(calls).toHaveLength(CALLS);
  expect(idsOf("tool_done").sort()).toEqual(calls.sort());
  expect(values.map(({ n }) => n)).toEqual(Array.from({ length: CALLS }, (_, n) => n));
  expect(events.at(-1)?.data).toMatchObject({ value: values, tool_calls: { length: CALLS } });
}

/** Each further kill makes the next start wait longer. */
const cases = [
  { style: "blocking", over: "a socket", kills: 2 },
  { style: "blocking", over: "REST", kills: 1 },
  { style: "async", over: "a socket", kills: 1 },
  { style: "async", over: "REST", kills: 1 },
] as const;

it.each(cases)(
  "answers each $style call once over $over, whatever the edge's process was doing as it was killed",
  async ({ style, over, kills }) => {
    const clientId = `${style}-${over === "REST" ? "rest" : "socket"}`;
    const starter = await SocketClient.open(product.socketUrl, { clientId });
    starter.send({ type: "execute", id: "e", code: codes[style], tools: [ECHO], timeout: 100 });
    await starter.until(({ type }) => type === "tool_call");
    starter.cut();
    const seen: Frame[] = [];
    const accepted = new Map<number, number>();
    const answerer = over === "REST" ? restAnswerer(clientId, accepted) : socketAnswerer(clientId, seen);
    for (let kill = 1; kill <= kills; kill += 1) {
      const enough = answerer.sent + Math.floor(CALLS / (kills + 2));
      await answerer.answer(() => answerer.sent < enough);
      expect(answerer.hasEnded).toBe(false);
      await killEdge();
    }
    await answerer.answer(() => true);
    const journal = await journalOf(clientId);
    const { value } = journal.at(-1)?.data ?? {};
    expectEachOnce(journal, value);
    if (over !== "REST") expect(seen).toEqual(journal);
    const got = new Map<number, number>(value.map((one: { n: number; attempt: number }) => [one.n, one.attempt]));
    for (const [n, first] of accepted) expect(got.get(n)).toBe(first);
  },
  120_000,
);
