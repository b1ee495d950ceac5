/** Owns the TypeScript client as one file, for runtimes that load no TypeScript. */
import { build } from "esbuild";

/** Bundles the client as an ES module. Anything of Node in it fails the build. */
export async function bundleClient() {
  const { outputFiles, metafile } = await build({
    entryPoints: ["src/client/index.ts"],
    bundle: true,
    minify: true,
    format: "esm",
    target: "es2022",
    platform: "browser",
    write: false,
    metafile: true,
  });
  const text = outputFiles[0]?.text ?? "";
  return { text, inputs: Object.keys(metafile.inputs) };
}
