// Builds what `npm pack` puts into the package: JavaScript and types in dist/, since Node strips no types inside node_modules.
import { chmodSync, cpSync, rmSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { runStep } from "./run-step.ts";

process.chdir(fileURLToPath(new URL("..", import.meta.url)));
rmSync("dist", { recursive: true, force: true });
const compiled = await runStep("tsc", ["--project", "tsconfig.package.json"]);
if (compiled.exitCode !== 0) {
  console.error(compiled.printed);
  process.exit(1);
}
chmodSync("dist/src/cli/main.js", 0o755);
// The library starts this program, from the same place as in the repository.
cpSync("worker-runner/python", "dist/worker-runner/python", {
  recursive: true,
  filter: (path) => !path.endsWith("__pycache__"),
});
