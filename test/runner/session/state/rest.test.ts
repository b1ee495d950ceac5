// @module-tag bubblewrap
// A session at rest: what it takes from the machine, and that nothing of its state depends on it.
import { readFileSync } from "node:fs";
import { expect, it, onTestFinished } from "vitest";
import { testPython } from "../../../../scripts/python-tests.ts";
import { childrenOf, descendantsOf } from "../../../../worker-runner/sandbox/process-tree.ts";
import { Zygotes } from "../../../../worker-runner/sandbox/zygotes.ts";
import { failure, result, startWatched } from "../../borrowed-session.ts";

const CRASH = "import os; os.kill(os.getpid(), 9)";
const REST_MS = 100;

async function startResting(restAfterMs = REST_MS) {
  const zygotes = new Zygotes();
  onTestFinished(() => zygotes.close());
  const { session, sandboxes } = await startWatched({
    startSandbox: zygotes.into("bwrap").startForked,
    python: testPython(),
    restAfterMs,
  });
  const keeper = () => sandboxes.at(-1)?.pid ?? 0;
  return { session, keeper };
}

/** The live process's frozen copies. */
const copiesOf = (keeper: number) => childrenOf(keeper).flatMap(childrenOf);

/** Kilobytes that these processes share with no other process. */
function privateKilobytes(pids: readonly number[]): number {
  return pids.reduce((sum, pid) => {
    const text = readFileSync(`/proc/${pid}/smaps_rollup`, "utf8");
    return sum + Number(/^Private_Dirty:\s+(\d+) kB/m.exec(text)?.[1] ?? 0);
  }, 0);
}

/** Resolves once another copy has taken the place of `before`. */
async function untilRested(keeper: number, before: readonly number[]): Promise<void> {
  await expect
    .poll(() => copiesOf(keeper).filter((pid) => !before.includes(pid) && isAsleep(pid)).length, { timeout: 20_000 })
    .toBe(1);
  await expect
    .poll(() => copiesOf(keeper).some((pid) => before.includes(pid) && isAsleep(pid)), { timeout: 20_000 })
    .toBe(false);
}

const isAsleep = (pid: number) => readFileSync(`/proc/${pid}/stat`, "latin1").split(") ").pop()?.[0] === "S";

async function copyOf(keeper: number): Promise<number[]> {
  await expect.poll(() => copiesOf(keeper).length, { timeout: 20_000 }).toBe(1);
  return copiesOf(keeper);
}

it("takes three processes and shares its memory", { timeout: 60_000 }, async () => {
  const { session, keeper } = await startResting(1_000);
  await result(session, "numbers = list(range(1000)); len(numbers)");
  const before = await copyOf(keeper());
  const busy = privateKilobytes([keeper(), ...descendantsOf(keeper())]);
  await untilRested(keeper(), before);
  const atRest = [keeper(), ...descendantsOf(keeper()).filter(isAsleep)];
  expect(atRest.length).toBe(3);
  // 3,000 kB on the machine where this was written; before the copy was replaced, 5,400.
  expect(privateKilobytes(atRest)).toBeLessThan(4_000);
  expect(privateKilobytes(atRest)).toBeLessThan(busy - 1_000);
});

it("recovers from the copy that it took at rest, exactly", { timeout: 60_000 }, async () => {
  const { session, keeper } = await startResting();
  await result(session, "n = [1]; import random; random.seed(4)");
  await untilRested(keeper(), await copyOf(keeper()));
  for (let round = 0; round < 2; round += 1) {
    const { state, lost_executions } = await failure(session, CRASH);
    expect([state, lost_executions]).toEqual(["recovered", undefined]);
    expect((await result(session, "n")).value).toEqual([1]);
  }
});

it("restores a checkpoint from the copy that it took at rest", { timeout: 60_000 }, async () => {
  const { session, keeper } = await startResting();
  await result(session, "n = [1]");
  const before = await copyOf(keeper());
  const { checkpointId } = await session.checkpoint();
  await untilRested(keeper(), before);
  await result(session, "n.append(2)");
  expect((await session.restore(checkpointId)).source).toBe("snapshot");
  expect((await result(session, "n")).value).toEqual([1]);
});
