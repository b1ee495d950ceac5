/**
 * Run as a process of its own, since wrangler, miniflare and esbuild take 300 MB: builds the edge for its parent, which sends a
 * `BuildOrder`, answers with workerd's configuration as bytes, then ends.
 */
import { once } from "node:events";
import { join } from "node:path";
import { build } from "esbuild";
import { serializeConfig } from "miniflare";
import { unstable_getMiniflareWorkerOptions as readWranglerToml } from "wrangler";
import { ROOT } from "./settings.ts";
import { buildWorkerdConfig, type WorkerdConfigOptions } from "./workerd-config.ts";

export type BuildOrder = Pick<WorkerdConfigOptions, "variables" | "storageDir">;

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

const ordered = once(process, "message");
const { workerOptions, define, main } = readWranglerToml(join(ROOT, "wrangler.toml"));
if (main === undefined) throw new Error("wrangler.toml names no main file");
const module = await bundle(main, define);
const [order] = (await ordered) as [BuildOrder];
const config: Uint8Array = serializeConfig(await buildWorkerdConfig({ ...order, workerOptions, module }));
process.send?.(config, () => process.exit());
