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

/** Runs test/python and shows its output; a run that does not reach its end counts as one failure. */
export async function runPythonTests(): Promise<TestCounts> {
  const folder = mkdtempSync(join(tmpdir(), "pyrepl3-tests-"));
  try {
    const file = join(folder, "counts.json");
    const { exitCode } = await runStep(testPython(), ["test/python/run_tests.py", file], {
      isLive: true,
      env: {
        ...process.env,
        PYTHONPATH: "worker-runner/python",
        PYTHONDONTWRITEBYTECODE: "1",
      },
    });
    return readCounts(file, exitCode);
  } finally {
    rmSync(folder, { recursive: true });
  }
}
