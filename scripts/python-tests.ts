// Runs the Python tests with unittest and counts how they ended.
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { runStep } from "./run-step.ts";
import { readCounts, type TestCounts } from "./test-counts.ts";

/** The Python that tests use: PYTHON where set, else the system's own, which has the Debian packages. */
export function testPython(): string {
  return process.env.PYTHON ?? (existsSync("/usr/bin/python3") ? "/usr/bin/python3" : "python3");
}

interface PythonSuite {
  readonly folder: string;
  readonly path: string;
}

const suites: readonly PythonSuite[] = [
  { folder: "test/python", path: "worker-runner/python" },
  { folder: "test/client-python", path: "src/client-python:test/python" },
];

/** Runs each folder of Python tests and shows its output; a run that does not reach its end counts as one failure. */
export async function runPythonTests(): Promise<TestCounts[]> {
  const counts: TestCounts[] = [];
  for (const { folder, path } of suites) {
    const report = mkdtempSync(join(tmpdir(), "pyrepl3-tests-"));
    try {
      const file = join(report, "counts.json");
      const { exitCode } = await runStep(testPython(), ["test/python/run_tests.py", folder, file], {
        isLive: true,
        env: { ...process.env, PYTHONPATH: path, PYTHONDONTWRITEBYTECODE: "1" },
      });
      counts.push(readCounts(file, exitCode));
    } finally {
      rmSync(report, { recursive: true });
    }
  }
  return counts;
}
