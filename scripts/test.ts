// `npm test`: runs every test, in stages, so that tests of real time run alone; ends with one line of counts.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { endTestRun } from "./end-test-run.ts";
import { runPythonTests } from "./python-tests.ts";
import { runStep } from "./run-step.ts";
import { readCounts, type TestCounts } from "./test-counts.ts";

const stages = [["contract", "runner", "edge"], ["system", "clients"], ["attacks"]];
const folder = mkdtempSync(join(tmpdir(), "pyrepl3-tests-"));

async function runVitest(projects: readonly string[]): Promise<TestCounts> {
  const file = join(folder, `${projects.join("-")}.json`);
  const { exitCode } = await runStep(
    "vitest",
    [
      "run",
      ...projects.flatMap((project) => ["--project", project]),
      "--reporter=default",
      "--reporter=./scripts/count-reporter.ts",
    ],
    { isLive: true, env: { ...process.env, TEST_COUNTS_FILE: file } },
  );
  return readCounts(file, exitCode);
}

const results = await runPythonTests();
for (const projects of stages) results.push(await runVitest(projects));
rmSync(folder, { recursive: true });
process.exitCode = endTestRun(results);
