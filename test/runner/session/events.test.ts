import { expect, it } from "vitest";
import { ExecutionEvent } from "../../../src/protocol/event.ts";
import type { NumberedEvent } from "../../../worker-runner/index.ts";
import { collect, printed, result, run, startSession } from "../borrowed-session.ts";

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
    seen.push(event.type);
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

it("says which executions had to wait, when they begin", async () => {
  const session = await startSession();
  const begun: string[] = [];
  session.subscribe({ started: (id) => begun.push(id) });
  await Promise.all([run(session, "1", { id: "a" }), run(session, "2", { id: "b" }), run(session, "3", { id: "c" })]);
  expect(begun).toEqual(["b", "c"]);
});

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
