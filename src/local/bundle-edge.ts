/** Owns how the edge becomes one module that workerd loads. */
import { build } from "esbuild";

/**
 * Bundles as wrangler does.
 *
 * @param entry the Worker's main file.
 * @param define what wrangler.toml defines.
 * @returns the Worker's one module.
 */
export async function bundleEdge(entry: string, define: Record<string, string>): Promise<string> {
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
