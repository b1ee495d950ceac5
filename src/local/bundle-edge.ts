/** Owns turning the edge's sources into the one module that workerd runs, as wrangler would. */
import { build } from "esbuild";

/**
 * Bundles the Worker whose entry is `entry`.
 *
 * @param define replacements that wrangler.toml asks for.
 * @throws esbuild's error, which names file and line.
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
    logLevel: "silent",
  });
  const [bundle] = result.outputFiles;
  if (bundle === undefined) throw new Error("esbuild wrote nothing");
  return bundle.text;
}
