/** Owns the shape of the counts that each test runner reports, and reads them. */
import { readFileSync } from "node:fs";
import { z } from "zod";

const SkippedTest = z.object({
  name: z.string(),
  /** The parts of the machine that the test needs, as `test/support/needs.ts` names them. */
  parts: z.array(z.string()),
});
export type SkippedTest = z.infer<typeof SkippedTest>;

const TestCounts = z.object({
  passed: z.int().nonnegative(),
  failed: z.int().nonnegative(),
  skipped: z.array(SkippedTest),
});
export type TestCounts = z.infer<typeof TestCounts>;

/**
 * Reads what a test runner counted. A run that wrote nothing counts as one failure; so does a run that failed without a failed
 * test, because a file did not load or an error occurred outside any test.
 */
export function readCounts(file: string, exitCode: number): TestCounts {
  let text: string;
  try {
    text = readFileSync(file, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
    return { passed: 0, failed: 1, skipped: [] };
  }
  const counts = TestCounts.parse(JSON.parse(text));
  return { ...counts, failed: exitCode === 0 ? counts.failed : Math.max(1, counts.failed) };
}

export function addCounts(all: readonly TestCounts[]): TestCounts {
  return {
    passed: all.reduce((sum, counts) => sum + counts.passed, 0),
    failed: all.reduce((sum, counts) => sum + counts.failed, 0),
    skipped: all.flatMap((counts) => counts.skipped),
  };
}
