/** Owns the proof that a client's calls on files touch nothing outside the workspace, whatever user code has planted there. */
import { afterAll, describe, it } from "vitest";
import { Arena } from "./arena.ts";
import { fileAttacks } from "./catalogue/files.ts";
import { findGrades } from "./grade.ts";

describe.each(await findGrades())("by $kind", (grade) => {
  const arena = new Arena(grade);
  afterAll(() => arena.close());

  it.each(fileAttacks)("$name", async (attack) => {
    await arena.run(attack);
  });
});
