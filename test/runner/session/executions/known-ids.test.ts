import { expect, it } from "vitest";
import { collect, result, run, startSession } from "../../borrowed-session.ts";

it("does not run the same id twice, and tells its events again", async () => {
  const session = await startSession();
  const code = "n = globals().get('n', 0) + 1\nprint(n)\nn";
  const first = await run(session, code, { id: "once" });
  const again = await run(session, code, { id: "once" });
  expect(again.events).toEqual(first.events);
  expect((await result(session, "n")).value).toBe(1);
});

it("lets a second reader join a running execution from its beginning", async () => {
  const session = await startSession();
  const code = "print('first', flush=True)\ninput()\nprint('last')";
  const events = session.execute({ code, id: "shared" });
  const reader = collect(events);
  const inputId = await new Promise<string>((resolve) => {
    session.subscribe({ event: ({ type, frame }) => type === "input" && resolve(JSON.parse(frame).data.input_id) });
  });
  const second = collect(session.execute({ code, id: "shared" }));
  session.inputResponse(inputId, "");
  expect((await second).events).toEqual((await reader).events);
});

it("refuses an id that was used with other code, while it runs and after", async () => {
  const session = await startSession();
  await run(session, "1", { id: "taken" });
  expect(() => session.execute({ code: "2", id: "taken" })).toThrow(
    expect.objectContaining({ code: "idempotency_conflict" }),
  );
  const long = `x = '${"a".repeat(1000)}'`;
  await run(session, long, { id: "long" });
  expect(() => session.submit({ code: `${long} `, id: "long" })).toThrow(
    expect.objectContaining({ code: "idempotency_conflict" }),
  );
  expect(session.submit({ code: long, id: "long" })).toBe("long");
});

it("tells the terminal event alone where the events are too many to keep", async () => {
  const session = await startSession({ replayMaxBytes: 2_000 });
  const code = "for i in range(1000): print(i, flush=True)\n7";
  await run(session, code, { id: "much" });
  const again = await run(session, code, { id: "much" });
  expect(again.events.map(({ type }) => type)).toEqual(["result"]);
});

it("forgets the oldest ids past the number it remembers", async () => {
  const session = await startSession({ rememberedExecutions: 2 });
  for (const id of ["a", "b", "c"]) await run(session, `${JSON.stringify(id)}`, { id });
  expect((await result(session, "'other'", { id: "a" })).value).toBe("other");
  expect(() => session.submit({ code: "'other'", id: "c" })).toThrow();
});
