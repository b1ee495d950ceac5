/** Owns the proof that nobody can take what belongs to others: processes, memory, processor, files, output. */
import { afterAll, describe, it } from "vitest";
import { Arena } from "./arena.ts";
import { memoryAttacks } from "./catalogue/memory.ts";
import { processAttacks } from "./catalogue/processes.ts";
import { fileAttacks } from "./catalogue/space.ts";
import { findGrades } from "./grade.ts";

describe.each(await findGrades())("by $kind", (grade) => {
  const arena = new Arena(grade);
  afterAll(() => arena.close());

  describe.each([
    ["processes", processAttacks],
    ["memory", memoryAttacks],
    ["files", fileAttacks],
  ] as const)("%s", (_subject, attacks) => {
    it.each(attacks)("$name", async (attack) => {
      await arena.run(attack);
    });
  });
});
