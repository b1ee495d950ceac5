import { expect, it } from "vitest";
import { ExecutionEvent } from "../../../../src/protocol/event.ts";
import type { NumberedEvent } from "../../../../worker-runner/index.ts";
import { collect, failure, printed, result, run, startSession } from "../../borrowed-session.ts";

const everything = `
import sys
print("out", 'with "quotes", \\\\ and \\u2028')
print("err", file=sys.stderr)
print("\\udcff lone")
display({"text/plain": "shown", "text/html": "<b>shown</b>"}, raw=True)
answer = input("name? ")
{"answer": answer, "n": 2**53 - 1}
`;

it("makes frames that are the contract's, numbered without a gap from the base", async () => {
  const session = await startSession();
  session.numberFrom(41);
  const told: NumberedEvent[] = [];
  session.subscribe({ event: (event) => told.push(event) });
  const stream = session.execute({ code: everything, id: 'an "id" \\ with\u2028oddities' });
  const events = [];
  for await (const event of stream) {
    events.push(event);
    if (event.type === "input") session.inputResponse(event.data.input_id, "Ada");
  }
  await run(session, "1/0");
  for (const { frame } of told) ExecutionEvent.parse(JSON.parse(frame));
  expect(told.map(({ seq }) => seq)).toEqual(told.map((_, index) => 42 + index));
  expect(new Set(events.map(({ type }) => type))).toEqual(new Set(["output", "display", "input", "result"]));
  expect(events.map(({ data }) => data.execution_id)).toEqual(events.map(() => 'an "id" \\ with\u2028oddities'));
  expect(told.find(({ type }) => type === "result")?.frame).toContain(`"n":${2 ** 53 - 1}`);
});

it("tells of cleared output in its place among output and displays", async () => {
  const session = await startSession();
  const code = `from IPython.display import clear_output, display
print('a')
clear_output()
display(1)
clear_output(wait=True)
print('b')`;
  const { events } = await run(session, code);
  expect(events.map(({ type, data }) => ("wait" in data ? { type, wait: data.wait } : type))).toEqual([
    "output",
    { type: "clear_output", wait: false },
    "display",
    { type: "clear_output", wait: true },
    "output",
    "result",
  ]);
});

it("tells every listener the same events in the same order as the iterator", async () => {
  const session = await startSession();
  const first: string[] = [];
  const second: string[] = [];
  session.subscribe({ event: ({ frame }) => first.push(frame) });
  const leave = session.subscribe({ event: ({ frame }) => second.push(frame) });
  const { events } = await run(session, "for i in range(100): print(i)");
  expect(first.map((frame) => JSON.parse(frame))).toEqual(events);
  expect(second).toEqual(first);
  leave();
  await run(session, "1");
  expect(first.length).toBe(second.length + 1);
});

it("cannot be numbered anew after the first event", async () => {
  const session = await startSession();
  await run(session, "1");
  expect(() => session.numberFrom(7)).toThrow(expect.objectContaining({ code: "invalid_call" }));
});

it("shows output as it is printed", async () => {
  const session = await startSession();
  const stream = session.execute({ code: "print('first', flush=True)\ninput()" });
  const seen: string[] = [];
  for await (const event of stream) {
    // A busy machine may send one print in several events.
    if (seen.at(-1) !== event.type) seen.push(event.type);
    if (event.type === "input") session.inputResponse(event.data.input_id, "");
  }
  expect(seen).toEqual(["output", "input", "result"]);
});

it("runs queued executions in order, each with its own events", async () => {
  const session = await startSession();
  await result(session, "n = 0");
  const runs = Array.from({ length: 50 }, (_, index) => run(session, `n += 1\nprint(${index}, n)\nn`));
  const ended = await Promise.all(runs);
  expect(ended.map(({ stdout }) => stdout)).toEqual(ended.map((_, index) => `${index} ${index + 1}\n`));
});

it("says when an execution began, with its first event or before where that is long in coming", async () => {
  const session = await startSession();
  const begun: [string, string, number][] = [];
  session.subscribe({
    started: (id, at) => begun.push(["started", id, at]),
    event: ({ type, executionId, startedAt }) => {
      if (startedAt !== undefined) begun.push([type, executionId, startedAt]);
    },
  });
  const before = Date.now() / 1000;
  await Promise.all([
    run(session, "1", { id: "a" }),
    run(session, "print('x')\n2", { id: "b" }),
    run(session, "import time; time.sleep(0.2); print('x')", { id: "c" }),
    run(session, "4", { id: "d" }),
  ]);
  // On a busy machine, any of them can be long in coming.
  const tellings = (id: string) => begun.filter(([, told]) => told === id).map(([how]) => how);
  expect(tellings("a").filter((how) => how !== "started")).toEqual(["result"]);
  expect(tellings("b").filter((how) => how !== "started")).toEqual(["output"]);
  expect(tellings("c")).toEqual(["started", "output"]);
  expect(tellings("d").filter((how) => how !== "started")).toEqual(["result"]);
  const times = begun.map(([, , at]) => at);
  expect(times).toEqual([...times].sort((one, other) => one - other));
  expect(times[0]).toBeGreaterThanOrEqual(before);
  const begins = (id: string) => [...new Set(begun.filter(([, told]) => told === id).map(([, , at]) => at))];
  expect(["a", "b", "c", "d"].map((id) => begins(id).length)).toEqual([1, 1, 1, 1]);
  expect((begins("d")[0] ?? 0) - (begins("c")[0] ?? 0)).toBeGreaterThanOrEqual(0.2);
});

it.each(["x", "€", "😀", "\u001b", "\\"])(
  "keeps output of %j within the frames that are asked for, whole and in order",
  async (unit) => {
    const session = await startSession();
    session.limitFrames(2048);
    const text = `${"0123456789".repeat(300)}${unit.repeat(3000)}`;
    const sizes: number[] = [];
    session.subscribe({
      event: ({ type, bytes, frame }) => {
        expect(bytes).toBe(Buffer.byteLength(frame));
        if (type === "output") sizes.push(bytes);
      },
    });
    const { stdout } = await run(session, `print(${JSON.stringify(text)}, end="")`);
    expect(stdout).toBe(text);
    expect(Math.max(...sizes)).toBeLessThanOrEqual(2048);
    session.limitFrames(0);
    sizes.length = 0;
    await run(session, `print(${JSON.stringify(text)}, end="")`);
    expect(sizes).toHaveLength(1);
  },
);

it("ends an execution whose reader leaves early", async () => {
  const session = await startSession();
  for await (const event of session.execute({
    code: "print('x', flush=True)\nimport time; time.sleep(60)",
    id: "left",
  })) {
    expect(event.type).toBe("output");
    break;
  }
  const { terminal } = await collect(
    session.execute({ code: "print('x', flush=True)\nimport time; time.sleep(60)", id: "left" }),
  );
  expect(terminal.data).toMatchObject({ reason: "cancelled" });
  expect((await result(session, "1")).value).toBe(1);
});

it("takes as many waiting executions as it may and not one more", async () => {
  const session = await startSession({ maxQueuedExecutions: 2 });
  const running = run(session, "input()", { id: "running" });
  const waiting = [run(session, "1"), run(session, "2")];
  expect(() => session.submit({ code: "3" })).toThrow(expect.objectContaining({ code: "queue_full" }));
  session.cancel("running" as never);
  await Promise.all([running, ...waiting]);
});

it("takes code as long as the limit and not one byte longer", async () => {
  const session = await startSession({ codeMaxBytes: 10 });
  expect((await result(session, "'ää'#abc")).value).toBe("ää");
  expect(() => session.submit({ code: "'ää'#abcd" })).toThrow(expect.objectContaining({ code: "payload_too_large" }));
});

it("refuses everything once it has ended", async () => {
  const session = await startSession();
  const running = run(session, "print('on', flush=True)\ninput()");
  await printed(session, "on");
  const waiting = run(session, "1");
  await session.shutdown();
  expect((await running).terminal.data).toMatchObject({ reason: "cancelled" });
  expect((await waiting).terminal.data).toMatchObject({ reason: "cancelled" });
  expect(() => session.submit({ code: "1" })).toThrow(expect.objectContaining({ code: "ended" }));
  await expect(session.checkpoint()).rejects.toMatchObject({ code: "ended" });
  expect((await session.status()).state).toBe("ended");
});

it.each(["[0] * 450_000", "[[]] * 250_000", "[{}] * 300_000", "[[[]]] * 150_000", "[''] * 300_000"])(
  "gives the value of %s, however many parts it has",
  async (code) => {
    const session = await startSession();
    const { value } = await result(session, code);
    expect(value === null || Array.isArray(value)).toBe(true);
    expect((await result(session, "1")).value).toBe(1);
  },
);

it.each([
  ["metadata of three hundred levels", "deep = {}\nfor _ in range(300): deep = {'x': deep}\ndisplay(1, metadata=deep)"],
  ["a bundle of very many types", "display({f'x/{n}': '' for n in range(200_000)}, raw=True)"],
])("shows what it can of %s", async (_what, code) => {
  const session = await startSession();
  const { events } = await run(session, code);
  expect(events.map((event) => event.type)).toEqual(["display", "result"]);
});

it("refuses a display id that is too long, in words", async () => {
  const session = await startSession();
  const error = await failure(session, "display(1, display_id='d' * 100_000)");
  expect(error).toMatchObject({ exception_type: "ValueError", state: "kept" });
});
