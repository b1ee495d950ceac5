/** Owns the proof that whatever user code prints, returns or raises ends as one definite answer. */
import { afterAll, describe, it } from "vitest";
import { Arena } from "./arena.ts";
import { outputAttacks } from "./catalogue/output.ts";
import { findGrades } from "./grade.ts";

describe.each(await findGrades())("by $kind", (grade) => {
  const arena = new Arena(grade);
  afterAll(() => arena.close());

  it.each(outputAttacks)("$name", async (attack) => {
    await arena.run(attack);
  });
});
