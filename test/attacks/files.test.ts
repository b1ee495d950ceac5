/** Owns the proof that a client's calls on files touch nothing outside the workspace, whatever user code has planted there. */
// @module-tag bubblewrap
import { afterAll, it } from "vitest";
import { Arena } from "./arena.ts";
import { fileAttacks } from "./catalogue/files.ts";

const arena = new Arena();
afterAll(() => arena.close());

it.each(fileAttacks)("$name", async (attack) => {
  await arena.run(attack);
});
