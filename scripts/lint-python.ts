// Lints and format-checks the Python here with ruff, which comes from npm; `--write` formats instead.
import { globSync, readFileSync, writeFileSync } from "node:fs";
import { type Diagnostic, PositionEncoding, Workspace } from "@astral-sh/ruff-wasm-nodejs";

const settings = {
  "line-length": 120,
  "target-version": "py311",
  lint: {
    select: ["E", "F", "W", "I", "UP", "B", "ANN", "D", "SIM", "RET", "RUF"],
    ignore: [
      "ANN401", // what user code hands over is Any, and saying so is honest
      "D105", // magic methods are named by the language
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
const files = globSync("{worker-runner,src,test}/**/*.py").sort();
let findings = 0;

for (const file of files) {
  const workspace = file.startsWith("test/") ? tests : product;
  const source = readFileSync(file, "utf8");
  const formatted = workspace.format(source);
  if (formatted !== source) {
    if (isWriting) {
      writeFileSync(file, formatted);
    } else {
      findings += 1;
      console.log(`${file}: not formatted (npm run format)`);
    }
  }
  for (const finding of workspace.check(isWriting ? formatted : source) as Diagnostic[]) {
    findings += 1;
    const { row, column } = finding.start_location;
    console.log(`${file}:${row}:${column}: ${finding.code ?? "syntax"} ${finding.message}`);
  }
}

console.log(`${files.length} Python files, ${findings} findings`);
process.exitCode = findings === 0 ? 0 : 1;
