/** How an execution is shown: a small one as an object, a large one as JSON that is made while it is read. */
import { runInDurableObject } from "cloudflare:test";
import { expect, it, vi } from "vitest";
import { ClientStores } from "../../../../src/object/session/client-stores.ts";
import { answerOf } from "../../../../src/object/session/execution-text.ts";
import { NamedSession } from "../../../../src/object/session/named-session.ts";
import type { ExecutionRecord } from "../../../../src/object/store/execution-record.ts";
import { newSession } from "../../../../src/object/store/session-table.ts";
import { ProblemError } from "../../../../src/problem.ts";
import type { EventType } from "../../../../src/protocol/event.ts";
import type { ExecutionId, SessionName } from "../../../../src/protocol/identity.ts";
import { Execution } from "../../../../src/protocol/rest.ts";
import { env, stubOf } from "../../support/edge-client.ts";

const ID = "x" as ExecutionId;
const NAME = "default" as SessionName;
const MIB = 1024 * 1024;

/** Calls `use` with an execution of these events, in an object whose journal keeps them all. */
function withExecution<T>(
  events: { type: EventType; data: object }[],
  use: (record: ExecutionRecord, session: NamedSession) => Promise<T>,
  settings: Record<string, string> = {},
): Promise<T> {
  return runInDurableObject(stubOf(`v-${crypto.randomUUID()}`), (_, state) => {
    const stores = new ClientStores(state, { ...env, JOURNAL_MAX_BYTES: String(512 * MIB), ...settings } as never);
    const session = new NamedSession(stores, newSession(NAME));
    stores.executions.add({ executionId: ID, session: NAME, policy: "commit_always", timeout: 1, code: "" });
    events.forEach(({ type, data }, index) => {
      const seq = index + 1;
      const event = { kind: "event" as const, seq, type, executionId: ID };
      const frame = JSON.stringify({ type, seq, data: { id: "e", timestamp: 1, type, execution_id: ID, ...data } });
      session.context.journal.append({ ...event, frame });
      stores.executions.noteEvent(NAME, { ...event, frame });
    });
    const record = stores.executions.find(ID);
    if (record === undefined) throw new Error("no execution");
    return use(record, session);
  });
}

/** The execution as its caller reads it, and whether it was streamed. */
function viewWith(events: { type: EventType; data: object }[]): Promise<Execution & { isStreamed: boolean }> {
  return withExecution(events, async (record, session) => {
    const answer = answerOf(record, session);
    const isStreamed = answer instanceof ReadableStream;
    const view = isStreamed ? await new Response(answer).json<Execution>() : answer;
    return { ...Execution.parse(view), isStreamed };
  });
}

const output = (text: string) => ({ type: "output" as const, data: { data: text, stream: "stdout" } });

const errors = (text: string) => ({ type: "output" as const, data: { data: text, stream: "stderr" } });
const timestamps = { id: "e", timestamp: 1, type: "result", execution_id: ID };
const result = {
  type: "result" as const,
  data: { ...timestamps, value: 7, repr: "7", execution_time: 1, transaction: "committed" },
};
const display = (size: number) => ({
  type: "display" as const,
  data: { id: "d", timestamp: 1, mime: { "text/plain": "d".repeat(size) }, metadata: {} },
});

it("shows a small execution at once", async () => {
  const view = await viewWith([output("a"), errors("b"), display(10), output("c"), result]);
  expect(view).toMatchObject({ isStreamed: false, status: "succeeded", stdout: "ac", stderr: "b", displays: [{}] });
});

it("streams a large execution, with the same content", async () => {
  const line = `${'漢\u0000"\ud83d'.repeat(10_000)}\n`;
  const pieces = Array.from({ length: 60 }, (_, index) => `${index}${line}`);
  const events = pieces.flatMap((piece) => [output(piece), errors("e"), output("\udc00")]);
  const view = await viewWith([...events, display(5), result]);
  expect(view).toMatchObject({ isStreamed: true, status: "succeeded", stderr: "e".repeat(60), result: { value: 7 } });
  // Two halves of one character came in two events.
  expect(view.stdout === pieces.map((piece) => `${piece}\udc00`).join("")).toBe(true);
  expect([view.displays.length, view.displays_truncated, view.output_truncated]).toEqual([1, false, false]);
});

it("shows displays up to 8 MiB, and says that there are more", async () => {
  const view = await viewWith([display(3 * MIB), display(3 * MIB), display(3 * MIB), display(3 * MIB)]);
  expect([view.displays.length, view.displays_truncated, view.output_truncated]).toEqual([2, true, false]);
});

it("reads no more than its reader takes, and nothing after the reader is gone", async () => {
  const events = Array.from({ length: 100 }, () => output("x".repeat(100_000)));
  await withExecution(events, async (record, session) => {
    const { journal } = session.context;
    let reads = 0;
    const read = journal.read.bind(journal);
    journal.read = (...given) => {
      reads += 1;
      return read(...given);
    };
    const answer = answerOf(record, session);
    if (!(answer instanceof ReadableStream)) throw new Error("it was not streamed");
    expect(reads).toBe(0);
    const reader = answer.getReader();
    for (let piece = 0; piece < 10; piece += 1) await reader.read();
    await reader.cancel();
    const atCancel = reads;
    expect(atCancel).toBeLessThan(20);
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(reads).toBe(atCancel);
  });
});

it("counts what a client reads before it is read, and refuses what is too much", async () => {
  const events = [output("x".repeat(MIB))];
  const settings = { READ_BYTES_PER_SECOND: "1000", READ_BURST_BYTES: "1500000" };
  const answers = await withExecution(
    events,
    async (record, session) => {
      const reads = vi.spyOn(session.context.journal, "read");
      const codes = [1, 2, 3].map(() => {
        try {
          answerOf(record, session);
          return "taken";
        } catch (error) {
          return error instanceof ProblemError ? error.init : error;
        }
      });
      return { codes, reads: reads.mock.calls.length };
    },
    settings,
  );
  const refused = { code: "rate_limited", detail: expect.any(String), retryAfter: expect.any(Number) };
  expect(answers).toEqual({ codes: ["taken", "taken", refused], reads: 0 });
});
