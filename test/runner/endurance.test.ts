import { expect, it } from "vitest";
import { result, run, startSession } from "./borrowed-session.ts";
import { chooseSeed, randomFrom } from "./random-numbers.ts";

it("runs two thousand executions in a row", { timeout: 120_000 }, async () => {
  const session = await startSession();
  await result(session, "n = 0");
  for (let n = 1; n <= 2_000; n += 1) {
    const { stdout, terminal } = await run(session, "n += 1\nprint(n)\nn");
    expect(stdout).toBe(`${n}\n`);
    expect(terminal.data).toMatchObject({ value: n });
  }
});

it("runs two thousand queued executions in order", { timeout: 120_000 }, async () => {
  const session = await startSession({ maxQueuedExecutions: 2_000 });
  await result(session, "n = 0");
  const all = await Promise.all(Array.from({ length: 2_000 }, () => result(session, "n += 1\nn")));
  expect(all.map(({ value }) => value)).toEqual(all.map((_, index) => index + 1));
});

it("ends a thousand executions at random moments, each once, and the next one is right", {
  timeout: 180_000,
}, async () => {
  const seed = chooseSeed();
  const random = randomFrom(seed);
  const session = await startSession({ recoveryCopiesBurst: 10_000 });
  const terminals = new Map<string, number>();
  session.subscribe({
    event: ({ type, executionId }) => {
      if (type === "result" || type === "error") terminals.set(executionId, (terminals.get(executionId) ?? 0) + 1);
    },
  });
  await result(session, "n = 0\nimport time");
  const codes = [
    "1",
    "time.sleep(0.005)",
    "time.sleep(60)",
    "while True: pass",
    "for i in range(1000): print(i)",
    "sum(range(100000))",
  ];
  for (let round = 0; round < 1_000; round += 1) {
    const code = codes[random(codes.length)] ?? "1";
    const stopper = random(3);
    const running = run(session, code, { timeout: stopper === 0 ? 0.001 + random(10) / 1000 : 0.5 });
    const late = stopper === 1 ? setTimeout(() => session.interrupt(), random(8)) : undefined;
    if (stopper === 2) session.interrupt();
    const { terminal } = await running;
    clearTimeout(late);
    if (terminal.type === "error") {
      expect(["timeout", "interrupted"], JSON.stringify(terminal.data)).toContain(terminal.data.reason);
    }
    const told = `round ${round} with SEED=${seed}: ${code}`;
    expect((await result(session, "n += 1\nn")).value, told).toBe(round + 1);
  }
  expect([...terminals.values()].every((count) => count === 1)).toBe(true);
});
