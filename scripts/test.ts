// `npm test`: every test there is, in stages, so that what measures real time runs alone; ends in one line of counts.
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { runPythonTests, type TestCounts } from "./python-tests.ts";
import { runStep } from "./run-step.ts";

interface VitestSummary {
  readonly numPassedTests: number;
  readonly numFailedTests: number;
  readonly numPendingTests: number;
  readonly numTodoTests: number;
  readonly success: boolean;
}

const stages = [["contract", "runner", "edge"], ["system"], ["attacks"]];
const reports = mkdtempSync(join(tmpdir(), "pyrepl3-tests-"));

async function runVitest(projects: readonly string[]): Promise<TestCounts> {
  const report = join(reports, `${projects.join("-")}.json`);
  const result = await runStep(
    "vitest",
    [
      "run",
      ...projects.flatMap((project) => ["--project", project]),
      "--reporter=default",
      "--reporter=json",
      `--outputFile.json=${report}`,
    ],
    { isLive: true },
  );
  let summary: VitestSummary;
  try {
    summary = JSON.parse(readFileSync(report, "utf8"));
  } catch (cause) {
    console.error(`vitest wrote no report for ${projects.join(", ")}:`, cause);
    return { passed: 0, failed: 1, skipped: 0 };
  }
  // A file that does not load, or an error outside any test, fails the run without failing a test.
  const failed = result.exitCode === 0 ? 0 : Math.max(1, summary.numFailedTests);
  return { passed: summary.numPassedTests, failed, skipped: summary.numPendingTests + summary.numTodoTests };
}

const results = [await runPythonTests()];
for (const projects of stages) results.push(await runVitest(projects));
rmSync(reports, { recursive: true });

const total = (key: keyof TestCounts) => results.reduce((sum, counts) => sum + counts[key], 0);
const skipped = total("skipped");
if (skipped > 0) console.log(`${skipped} skipped, which counts as failed: every test runs everywhere`);
console.log(`${total("passed")} passed, ${total("failed") + skipped} failed`);
process.exitCode = total("failed") + skipped === 0 ? 0 : 1;
