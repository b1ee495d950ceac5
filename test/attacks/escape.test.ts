/** Owns the proof that nothing outside a session can be reached from inside. */
import { afterAll, beforeAll, describe, it } from "vitest";
import { Arena } from "./arena.ts";
import { kernelEscapes, machineEscapes, processEscapes } from "./catalogue/escape.ts";
import { fileEscapes, SECRET } from "./catalogue/host-files.ts";
import { zygoteAttacks } from "./catalogue/zygote.ts";
import { findGrades } from "./grade.ts";

beforeAll(() => {
  process.env.RUNNER_TOKEN = SECRET;
});

describe.each(await findGrades())("by $kind", (grade) => {
  const arena = new Arena(grade);
  afterAll(() => arena.close());

  describe.each([
    ["processes", processEscapes],
    ["the zygote", zygoteAttacks],
    ["the kernel", kernelEscapes],
    ["the machine", machineEscapes],
    ["files and secrets", fileEscapes],
  ] as const)("%s", (_subject, attacks) => {
    it.each(attacks)("$name", async (attack) => {
      await arena.run(attack);
    });
  });
});
