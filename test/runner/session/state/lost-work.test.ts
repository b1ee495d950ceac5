// What a crash costs: in a row of executions without pause, and with pauses between them.
import { expect, it } from "vitest";
import { failure, result, startSession } from "../../borrowed-session.ts";

const CRASH = "import os; os.kill(os.getpid(), 9)";

it("loses the executions at the end of a loop of 1,000, and names exactly those", { timeout: 60_000 }, async () => {
  const costsMs: number[] = [];
  const session = await startSession({
    metrics: { recoverySnapshot: (pause) => void (pause !== null && costsMs.push(pause * 1_000)) },
  });
  await result(session, "n = 0");
  const endedAt = new Map<string, number>();
  for (let count = 1; count <= 1_000; count += 1) {
    await result(session, "n += 1", { id: `e${count}` });
    endedAt.set(`e${count}`, performance.now());
  }
  const before = costsMs.length;
  const { state, lost_executions: lost = [] } = await failure(session, CRASH);
  expect(state).toMatch(/^(recovered|restored)$/);
  // The last ones in a row, and the state is the one before them.
  expect(lost).toEqual([...endedAt.keys()].slice(1_000 - lost.length));
  expect((await result(session, "n")).value).toBe(1_000 - lost.length);
  // A slow machine makes pauses, so it copies more often; `copy-schedule.test.ts` holds how many there are at most.
  expect(before).toBeGreaterThan(10);
});

it("loses nothing but itself where each execution comes 50 ms after the one before", async () => {
  const session = await startSession();
  for (let count = 1; count <= 8; count += 1) {
    await result(session, count === 1 ? "n = 1" : "n += 1");
    await new Promise((resolve) => setTimeout(resolve, 50));
    if (count % 2 === 1) continue;
    const { state, lost_executions } = await failure(session, CRASH);
    expect(state).toBe("recovered");
    expect(lost_executions).toBeUndefined();
    expect((await result(session, "n")).value).toBe(count);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
});

it("loses nothing that a rollback policy protects, however fast it goes", async () => {
  const session = await startSession({ recoveryCopyShare: 0, recoveryCopiesBurst: 0 });
  await result(session, "n = 0");
  for (let count = 1; count <= 20; count += 1) {
    await result(session, "n += 1");
    const { state, transaction } = await failure(session, "n = -1; raise ValueError", {
      transaction_policy: "rollback_on_failure",
    });
    expect({ state, transaction }).toEqual({ state: "rolled_back", transaction: "rolled_back" });
    expect((await result(session, "n")).value).toBe(count);
  }
});
