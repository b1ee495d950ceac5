// Lints and format-checks the Python here with ruff, which comes from npm; `--write` formats instead.
import { globSync, readFileSync, writeFileSync } from "node:fs";
import { type Diagnostic, PositionEncoding, Workspace } from "@astral-sh/ruff-wasm-nodejs";
import { applyFix } from "./ruff-fixes.ts";

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
    // Prose, which the formatter leaves alone, may be a little longer than code.
    pycodestyle: { "max-line-length": 130 },
  },
};

// A test's name is its docstring, and the code that it sends is often one long line.
const testSettings = { ...settings, lint: { ...settings.lint, ignore: [...settings.lint.ignore, "D", "E501"] } };

// What clients install runs on older Pythons too, so it has neither their absent syntax nor their absent types.
const clientSettings = {
  ...settings,
  "target-version": "py39",
  lint: { ...settings.lint, ignore: [...settings.lint.ignore, "UP006", "UP007", "UP035", "UP045", "RUF022"] },
};

const product = new Workspace(settings, PositionEncoding.Utf16);
const client = new Workspace(clientSettings, PositionEncoding.Utf16);
const tests = new Workspace(testSettings, PositionEncoding.Utf16);
const isWriting = process.argv.includes("--write");
// In this order: an import goes only when nothing names it any more.
const fixableInTurn = [/^UP(?!035)/, /^(UP035|F401|RUF100|W)/, /^I0/];

/** Findings that say that the code does not work, not that it could be better put. */
const countBroken = (findings: readonly Diagnostic[]) =>
  findings.filter(({ code }) => code === null || code === "invalid-syntax" || code === "F821").length;

/** Makes the fixes whose code matches, one by one. A fix that would break the code is left out. */
function fixAll(workspace: Workspace, source: string, fixable: RegExp): string {
  let fixed = source;
  let skipped = 0;
  for (;;) {
    const findings: Diagnostic[] = workspace.check(fixed);
    const finding = findings.filter(({ code, fix }) => fix && fixable.test(code ?? ""))[skipped];
    if (!finding) return fixed;
    const next = applyFix(fixed, finding);
    if (next === fixed || countBroken(workspace.check(next)) > countBroken(findings)) skipped += 1;
    else fixed = next;
  }
}

/** Formats, and makes those fixes that cannot change what the code does. */
function tidy(workspace: Workspace, source: string): string {
  if (countBroken(workspace.check(source)) > 0) return source;
  return workspace.format(fixableInTurn.reduce((fixed, fixable) => fixAll(workspace, fixed, fixable), source));
}

/** As `format`, and the source itself where it does not parse: the linter names the place. */
function formatted(workspace: Workspace, source: string): string {
  try {
    return workspace.format(source);
  } catch (error) {
    if (error instanceof Error) return source;
    throw error;
  }
}

const files = globSync("{worker-runner,src,test,examples}/**/*.py").sort();
let findingCount = 0;

function workspaceOf(file: string): Workspace {
  if (file.startsWith("test/")) return tests;
  return file.startsWith("src/client-python/") || file.startsWith("examples/") ? client : product;
}

function report(finding: string): void {
  findingCount += 1;
  console.log(finding);
}

for (const file of files) {
  const workspace = workspaceOf(file);
  let source = readFileSync(file, "utf8");
  if (isWriting) {
    const tidied = tidy(workspace, source);
    if (tidied !== source) writeFileSync(file, tidied);
    source = tidied;
  }
  if (formatted(workspace, source) !== source) report(`${file}: not formatted (npm run format)`);
  const findings: Diagnostic[] = workspace.check(source);
  for (const { code, message, start_location: at } of findings) {
    report(`${file}:${at.row}:${at.column}: ${code ?? "syntax"} ${message}`);
  }
}

console.log(`${files.length} Python files, ${findingCount} findings`);
process.exitCode = findingCount === 0 ? 0 : 1;
