/** Run as a process of its own, since wrangler and esbuild take 300 MB: builds the edge and sends it to the parent, then ends. */
import { join } from "node:path";
import { build } from "esbuild";
import { unstable_getMiniflareWorkerOptions as readWranglerToml } from "wrangler";
import { ROOT } from "./settings.ts";

/** What the parent gets: miniflare's options for the Worker, and its one module. */
export type BuiltEdge = { workerOptions: ReturnType<typeof readWranglerToml>["workerOptions"]; module: string };

/** Bundles as wrangler does. */
async function bundle(entry: string, define: Record<string, string>): Promise<string> {
  const result = await build({
    entryPoints: [entry],
    bundle: true,
    write: false,
    format: "esm",
    target: "es2024",
    platform: "neutral",
    conditions: ["workerd", "worker", "browser"],
    mainFields: ["browser", "module", "main"],
    external: ["cloudflare:*", "node:*"],
    // Class and function names show in errors, and itty-durable goes by them.
    keepNames: true,
    define,
    logLevel: "error",
  });
  const [file] = result.outputFiles;
  if (file === undefined) throw new Error("esbuild wrote nothing");
  return file.text;
}

const { workerOptions, define, main } = readWranglerToml(join(ROOT, "wrangler.toml"));
if (main === undefined) throw new Error("wrangler.toml names no main file");
const built: BuiltEdge = { workerOptions, module: await bundle(main, define) };
process.send?.(built, () => process.exit());
