/** Owns the proof that what comes out of a sandbox is believed no further than it is checked. */
// @module-tag bubblewrap
import { afterAll, it } from "vitest";
import { Arena } from "./arena.ts";
import { frameAttacks } from "./catalogue/frames.ts";
import { internalAttacks } from "./catalogue/internals.ts";

const arena = new Arena();
afterAll(() => arena.close());

it.each([...frameAttacks, ...internalAttacks])("$name", async (attack) => {
  await arena.run(attack);
});
