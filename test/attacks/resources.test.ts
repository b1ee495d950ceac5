/** Owns the proof that nobody can take what belongs to others: processes, memory, processor, files, output. */
// @module-tag bubblewrap
import { afterAll, describe, it } from "vitest";
import { Arena } from "./arena.ts";
import { memoryAttacks } from "./catalogue/memory.ts";
import { processAttacks } from "./catalogue/processes.ts";
import { fileAttacks } from "./catalogue/space.ts";

const arena = new Arena();
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
