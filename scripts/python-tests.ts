// Runs the Python tests with unittest and counts how they ended.
import { existsSync } from "node:fs";
import { runStep } from "./run-step.ts";

export interface TestCounts {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
}

/** The Python that tests use: PYTHON where set, else the system's own, which has the Debian packages. */
export function testPython(): string {
  return process.env.PYTHON ?? (existsSync("/usr/bin/python3") ? "/usr/bin/python3" : "python3");
}

/** Runs test/python and shows its output; a run that does not reach its summary counts as one failure. */
export async function runPythonTests(): Promise<TestCounts> {
  const result = await runStep(testPython(), ["-m", "unittest", "discover", "-s", "test/python", "-t", "test/python"], {
    isLive: true,
    env: {
      ...process.env,
      PYTHONPATH: "worker-runner/python",
      PYTHONDONTWRITEBYTECODE: "1",
    },
  });
  const ran = /^Ran (\d+) tests? in/m.exec(result.printed);
  if (!ran) return { passed: 0, failed: 1, skipped: 0 };
  const summary = result.printed.slice(ran.index);
  const count = (word: string) => Number(new RegExp(`\\b${word}=(\\d+)`).exec(summary)?.[1] ?? 0);
  const skipped = count("skipped");
  const counted = count("failures") + count("errors") + count("unexpected successes");
  const failed = result.exitCode === 0 ? 0 : Math.max(1, counted);
  return { passed: Math.max(0, Number(ran[1]) - failed - skipped), failed, skipped };
}
