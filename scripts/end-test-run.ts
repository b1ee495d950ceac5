/** Owns the last lines of a test run, and whether it passed. A skipped test is a failure in CI, and on a machine that lacks no part. */
import { explainSkips } from "./explain-skips.ts";
import { addCounts, type TestCounts } from "./test-counts.ts";

/** Prints the skips, each with its remedy, then one line of counts. @returns the exit code. */
export function endTestRun(results: readonly TestCounts[]): number {
  const { passed, failed, skipped } = addCounts(results);
  const { unexplained, lines } = explainSkips(skipped);
  const isCi = process.env.CI === "true";
  if (lines.length > 0) console.log(`\n${lines.join("\n")}`);
  if (isCi && skipped.length > 0) console.log("CI=true: every test has to run, so each skipped test counts as failed");
  const failures = failed + (isCi ? skipped.length : unexplained);
  const excused = isCi ? 0 : skipped.length - unexplained;
  console.log(`${passed} passed, ${failures} failed${excused > 0 ? `, ${excused} skipped` : ""}`);
  return failures === 0 ? 0 : 1;
}
