/** Undo with a real interpreter: the states before the latest executions, and what is kept no longer. */
import { expect, it } from "vitest";
import type { ExecutionId } from "../../../../src/protocol/identity.ts";
import type { Session } from "../../../../worker-runner/session/session.ts";
import { failure, result, startSession } from "../../borrowed-session.ts";

let copies = 0;
const metrics = {
  recoverySnapshot: () => {
    copies += 1;
  },
};
const idOf = (id: string) => id as ExecutionId;

/** Runs code and waits for the copy behind it: the state before an execution can be brought back if it had one. */
async function runAndCopy(session: Session, code: string, id: string): Promise<void> {
  const before = copies;
  await result(session, code, { id });
  await expect.poll(() => copies).toBeGreaterThan(before);
}

async function count(session: Session, to: number): Promise<void> {
  for (let at = 1; at <= to; at += 1) await runAndCopy(session, at === 1 ? "n = 1" : "n += 1", `e${at}`);
}

const nNow = async (session: Session) =>
  (await result(session, "globals().get('n')", { transaction_policy: "rollback_always" })).value;

it("goes back over eight executions one after the other, each state right", async () => {
  const session = await startSession({ metrics });
  await count(session, 10);
  expect((await session.status()).undo).toEqual([10, 9, 8, 7, 6, 5, 4, 3].map((at) => `e${at}`));
  for (let at = 10; at >= 3; at -= 1) {
    expect(await session.undo(null)).toBe(`e${at}`);
    expect(await nNow(session)).toBe(at - 1);
  }
  await expect(session.undo(null)).rejects.toMatchObject({ code: "undo_unavailable" });
  expect(await nNow(session)).toBe(2);
});

it("goes back to before a named one, goes on from there, and reaches the fresh state", async () => {
  const session = await startSession({ metrics });
  await count(session, 4);
  expect(await session.undo(idOf("e3"))).toBe("e3");
  expect(await nNow(session)).toBe(2);
  await expect(session.undo(idOf("e4"))).rejects.toMatchObject({ code: "undo_unavailable" });
  await runAndCopy(session, "n = 30", "other");
  expect((await session.status()).undo).toEqual(["other", "e2", "e1"]);
  await session.undo(idOf("e1"));
  expect(await nNow(session)).toBe(null);
});

it("is right after a crash, keeps nothing over a reset, and does not list what was rolled back", async () => {
  const session = await startSession({ metrics });
  await count(session, 2);
  expect((await failure(session, "import os; os.kill(os.getpid(), 9)", { id: "crash" })).state).toBe("recovered");
  await failure(session, "n = 9; raise ValueError", { id: "back", transaction_policy: "rollback_on_failure" });
  expect((await session.status()).undo).toEqual(["e2", "e1"]);
  expect(await session.undo(null)).toBe("e2");
  expect(await nNow(session)).toBe(1);
  // The state that was brought back is the one that a crash leads to.
  await failure(session, "import os; os.kill(os.getpid(), 9)");
  expect(await nNow(session)).toBe(1);
  await session.reset();
  expect((await session.status()).undo).toEqual([]);
});

it("gives the memory of its copies back to code that needs it", async () => {
  const session = await startSession({ metrics, memoryBytes: 512 * 1024 * 1024 } as object);
  await count(session, 3);
  await result(session, "big = bytearray(200 << 20)", { id: "large" });
  await expect.poll(async () => (await session.status()).undo).toEqual([]);
  expect(await nNow(session)).toBe(3);
});
