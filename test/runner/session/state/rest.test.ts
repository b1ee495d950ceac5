// @module-tag bubblewrap
// A session at rest: what it takes from the machine, and that nothing of its state depends on it.
import { readFileSync } from "node:fs";
import { expect, it, onTestFinished } from "vitest";
import { testPython } from "../../../../scripts/python-tests.ts";
import type { CheckpointId } from "../../../../src/protocol/identity.ts";
import { descendantsOf, isRunning } from "../../../../worker-runner/sandbox/process-tree.ts";
import { Zygotes } from "../../../../worker-runner/sandbox/zygotes.ts";
import { failure, result, startWatched } from "../../borrowed-session.ts";

const TIMEOUT_MS = 60_000;
/** Keeper, live process and its copy. 3,000 kB where this was written; as long as the live process had rehearsed, 5,400. */
const PROCESSES = 3;
const MAX_PRIVATE_KILOBYTES = 4_000;

async function startResting() {
  const zygotes = new Zygotes();
  onTestFinished(() => zygotes.close());
  const { session, sandboxes } = await startWatched({
    startSandbox: zygotes.into("bwrap").startForked,
    python: testPython(),
    restAfterMs: 100,
  });
  /** Resolves once the session is at rest: nothing else takes its processes below that size. */
  const untilAtRest = () =>
    expect.poll(() => isAtRest(sandboxes.at(-1)?.pid ?? 0), { timeout: TIMEOUT_MS, interval: 100 }).toBe(true);
  return { session, untilAtRest };
}

function isAtRest(keeper: number): boolean {
  const pids = [keeper, ...descendantsOf(keeper)].filter(isRunning);
  if (pids.length !== PROCESSES) return false;
  const kilobytes = pids.map(privateKilobytes);
  return kilobytes.every((each) => each > 0) && kilobytes.reduce((sum, each) => sum + each) < MAX_PRIVATE_KILOBYTES;
}

/** Kilobytes that this process shares with no other; 0 if it has ended. */
function privateKilobytes(pid: number): number {
  try {
    return Number(/^Private_Dirty:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, "utf8"))?.[1] ?? 0);
  } catch {
    return 0;
  }
}

it("takes few processes and little memory, and recovers exactly", { timeout: 2 * TIMEOUT_MS }, async () => {
  const { session, untilAtRest } = await startResting();
  await result(session, "n = list(range(1000))");
  await untilAtRest();
  for (let round = 0; round < 2; round += 1) {
    const { state, lost_executions } = await failure(session, "import os; os.kill(os.getpid(), 9)");
    expect([state, lost_executions]).toEqual(["recovered", undefined]);
    expect((await result(session, "len(n), n[-1]")).value).toEqual([1000, 999]);
  }
});

it("restores a checkpoint from the copy that it took at rest", { timeout: 2 * TIMEOUT_MS }, async () => {
  const { session, untilAtRest } = await startResting();
  await result(session, "n = [1]");
  await session.checkpoint("c1" as CheckpointId);
  await untilAtRest();
  await result(session, "n.append(2)");
  expect((await session.restore("c1" as CheckpointId)).source).toBe("snapshot");
  expect((await result(session, "n")).value).toEqual([1]);
});
