/** Owns the proof that what comes out of a sandbox is believed no further than it is checked. */
import { afterAll, describe, it } from "vitest";
import { Arena } from "./arena.ts";
import { frameAttacks } from "./catalogue/frames.ts";
import { internalAttacks } from "./catalogue/internals.ts";
import { findGrades } from "./grade.ts";

describe.each(await findGrades())("by $kind", (grade) => {
  const arena = new Arena(grade);
  afterAll(() => arena.close());

  it.each([...frameAttacks, ...internalAttacks])("$name", async (attack) => {
    await arena.run(attack);
  });
});
