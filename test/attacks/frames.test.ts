/** Owns the proof that what comes out of a sandbox is believed no further than it is checked. */
import { afterAll, it } from "vitest";
import { Arena } from "./arena.ts";
import { frameAttacks } from "./catalogue/frames.ts";

const arena = new Arena();
afterAll(() => arena.close());

it.each(frameAttacks)("$name", async (attack) => {
  await arena.run(attack);
});
