/** Owns the proof that saved state and the workspace's files are data to everyone outside the sandbox. */
import assert from "node:assert/strict";
import { afterAll, describe, it } from "vitest";
import { Arena } from "./arena.ts";
import { checkpointAttacks, FIND_LITTER, LITTER, workspaceAttacks } from "./catalogue/state.ts";
import { findGrades } from "./grade.ts";
import { resultOf, run } from "./outcome.ts";

describe.each(await findGrades())("by $kind", (grade) => {
  const arena = new Arena(grade);
  afterAll(() => arena.close());

  describe.each([
    ["checkpoints", checkpointAttacks],
    ["the workspace", workspaceAttacks],
  ] as const)("%s", (_subject, attacks) => {
    it.each(attacks)("$name", async (attack) => {
      await arena.run(attack);
    });
  });

  it("leaves nothing in /tmp, /dev/shm, home or workspace for the next tenant, nor for one beside", async () => {
    const first = await arena.start();
    resultOf(await run(first, LITTER));
    const beside = await arena.start();
    assert.deepEqual(resultOf(await run(beside, FIND_LITTER)), []);
    await Promise.all([first.shutdown(), beside.shutdown()]);
    const next = await arena.start();
    assert.deepEqual(resultOf(await run(next, FIND_LITTER)), []);
    await next.shutdown();
  });
});
