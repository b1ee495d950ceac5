/** Owns the proof that nothing outside a session can be reached from inside. */
// @module-tag bubblewrap
import { afterAll, beforeAll, describe, it } from "vitest";
import { Arena } from "./arena.ts";
import { kernelEscapes, machineEscapes, processEscapes } from "./catalogue/escape.ts";
import { fileEscapes, SECRET } from "./catalogue/host-files.ts";
import { zygoteAttacks } from "./catalogue/zygote.ts";

const arena = new Arena();
beforeAll(() => {
  process.env.RUNNER_TOKEN = SECRET;
});
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
