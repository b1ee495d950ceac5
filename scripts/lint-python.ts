// Lints and format-checks the Python here with ruff, which comes from npm; `--write` formats instead.
import { globSync, readFileSync, writeFileSync } from "node:fs";
import { type Diagnostic, PositionEncoding, Workspace } from "@astral-sh/ruff-wasm-nodejs";
import { applyFixes } from "./ruff-fixes.ts";

const settings = {
  "line-length": 120,
  "target-version": "py311",
  lint: {
    select: ["E", "F", "W", "I", "UP", "B", "ANN", "D", "SIM", "RET", "RUF"],
    ignore: [
      "ANN401", // what user code hands over is Any, and saying so is honest
      "D105", // magic methods are named by the language
      "D102", // what a method overrides is described there
      "D107", // the class says what __init__ takes
      "RUF001",
      "RUF002",
      "RUF003", // a character that looks like another is not a mistake here
    ],
    pydocstyle: { convention: "google" },
  },
};

// A test's name is its docstring.
const testSettings = { ...settings, lint: { ...settings.lint, ignore: [...settings.lint.ignore, "D"] } };

const product = new Workspace(settings, PositionEncoding.Utf16);
const tests = new Workspace(testSettings, PositionEncoding.Utf16);
const isWriting = process.argv.includes("--write");
const fixable = /^(UP|I0|F401|RUF100|W)/;
const fixRounds = 20;

/** Formats, and makes those fixes that cannot change what the code does. */
function tidy(workspace: Workspace, source: string): string {
  let fixed = source;
  for (let round = 0; round < fixRounds; round += 1) {
    const findings: Diagnostic[] = workspace.check(fixed);
    const next = applyFixes(
      fixed,
      findings.filter(({ code }) => fixable.test(code ?? "")),
    );
    if (next === fixed) break;
    fixed = next;
  }
  return workspace.format(fixed);
}

const files = globSync("{worker-runner,src,test}/**/*.py").sort();
let findingCount = 0;

function report(finding: string): void {
  findingCount += 1;
  console.log(finding);
}

for (const file of files) {
  const workspace = file.startsWith("test/") ? tests : product;
  let source = readFileSync(file, "utf8");
  if (isWriting) {
    const tidied = tidy(workspace, source);
    if (tidied !== source) writeFileSync(file, tidied);
    source = tidied;
  }
  if (workspace.format(source) !== source) report(`${file}: not formatted (npm run format)`);
  const findings: Diagnostic[] = workspace.check(source);
  for (const { code, message, start_location: at } of findings) {
    report(`${file}:${at.row}:${at.column}: ${code ?? "syntax"} ${message}`);
  }
}

console.log(`${files.length} Python files, ${findingCount} findings`);
process.exitCode = findingCount === 0 ? 0 : 1;
