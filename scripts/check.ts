// Runs every static check, two at a time, and shows the output of those that fail.
import { globSync } from "node:fs";
import { dirname } from "node:path";
import { testPython } from "./python-tests.ts";
import { runStep } from "./run-step.ts";

interface Check {
  readonly name: string;
  readonly command: string;
  readonly args: readonly string[];
}

const parallelChecks = 2;

function typeChecks(): Check[] {
  const isGenerated = (path: string) => path.includes("node_modules") || path.startsWith(".");
  return globSync("**/tsconfig.json", { exclude: isGenerated }).map((file) => ({
    name: `tsc ${dirname(file)}`,
    command: "tsc",
    args: ["--project", file, "--pretty"],
  }));
}

const checks: Check[] = [
  { name: "basedpyright", command: "basedpyright", args: ["--warnings", "--pythonpath", testPython()] },
  { name: "biome", command: "biome", args: ["check", "--error-on-warnings", "."] },
  { name: "ruff", command: "node", args: ["scripts/lint-python.ts"] },
  { name: "words", command: "node", args: ["scripts/check-words.ts"] },
  { name: "knip", command: "knip", args: [] },
  {
    name: "dependency rules",
    command: "depcruise",
    args: ["--config", ".dependency-cruiser.json", "src", "worker-runner", "deploy", "scripts", "test"],
  },
  ...typeChecks(),
];

const failed: string[] = [];
const waiting = [...checks];

async function runWaiting(): Promise<void> {
  for (let check = waiting.shift(); check; check = waiting.shift()) {
    const result = await runStep(check.command, check.args);
    console.log(`${result.exitCode === 0 ? "ok    " : "FAILED"} ${check.name} (${result.seconds.toFixed(1)} s)`);
    if (result.exitCode !== 0) {
      failed.push(check.name);
      console.log(result.printed);
    }
  }
}

await Promise.all(Array.from({ length: parallelChecks }, runWaiting));
console.log(failed.length === 0 ? `${checks.length} checks, all good` : `failed: ${failed.join(", ")}`);
process.exitCode = failed.length === 0 ? 0 : 1;
