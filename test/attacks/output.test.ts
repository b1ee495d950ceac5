/** Owns the proof that whatever user code prints, returns or raises ends as one definite answer. */
// @module-tag bubblewrap
import { afterAll, it } from "vitest";
import { Arena } from "./arena.ts";
import { outputAttacks } from "./catalogue/output.ts";

const arena = new Arena();
afterAll(() => arena.close());

it.each(outputAttacks)("$name", async (attack) => {
  await arena.run(attack);
});
