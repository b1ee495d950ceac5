// Builds what `npm pack` puts into the package: JavaScript and types in dist/, since Node strips no types inside node_modules.
import { chmodSync, cpSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { unstable_getMiniflareWorkerOptions as readWranglerToml } from "wrangler";
import { bundleEdge } from "../src/local/bundle-edge.ts";
import { runStep } from "./run-step.ts";

process.chdir(fileURLToPath(new URL("..", import.meta.url)));
rmSync("dist", { recursive: true, force: true });
for (const [command, args] of [
  ["node", ["scripts/build-pages.ts"]],
  ["tsc", ["--project", "tsconfig.package.json"]],
] as const) {
  const { exitCode, printed } = await runStep(command, args);
  if (exitCode === 0) continue;
  console.error(printed);
  process.exit(1);
}
chmodSync("dist/src/cli/main.js", 0o755);
// Programs that are no TypeScript, at the same place beside the code that starts them as in the repository.
for (const script of ["with-parent.sh", "workerd-with-parent.sh"])
  cpSync(`src/local/${script}`, `dist/src/local/${script}`);
cpSync("worker-runner/python", "dist/worker-runner/python", {
  recursive: true,
  filter: (path) => !path.endsWith("__pycache__"),
});

// The edge is bundled here with its pages, so that a start from the package needs nothing that the pages are built from.
const { main, define } = readWranglerToml("wrangler.toml");
if (main === undefined) throw new Error("wrangler.toml names no main file");
writeFileSync("dist/edge.js", await bundleEdge(main, define));
const settings = readFileSync("wrangler.toml", "utf8");
const packed = settings
  .replace('main = "src/index.ts"', 'main = "edge.js"')
  .replace(/# [^\n]*\n\[build\]\n(?:\w+ = [^\n]*\n)+\n/, "");
if (!packed.includes('main = "edge.js"') || packed.includes("[build]"))
  throw new Error("wrangler.toml has another form");
writeFileSync("dist/wrangler.toml", packed);
