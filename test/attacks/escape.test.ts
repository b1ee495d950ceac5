/** Owns the proof that nothing outside a session can be reached from inside. */
import { afterAll, beforeAll, describe, it } from "vitest";
import { Arena } from "./arena.ts";
import { fileEscapes, kernelEscapes, machineEscapes, processEscapes, SECRET } from "./catalogue/escape.ts";

const arena = new Arena();
beforeAll(() => {
  process.env.RUNNER_TOKEN = SECRET;
});
afterAll(() => arena.close());

describe.each([
  ["processes", processEscapes],
  ["the kernel", kernelEscapes],
  ["the machine", machineEscapes],
  ["files and secrets", fileEscapes],
] as const)("%s", (_subject, attacks) => {
  it.each(attacks)("$name", async (attack) => {
    await arena.run(attack);
  });
});
