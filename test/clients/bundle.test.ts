/** The TypeScript client as a web page gets it: one small file that needs nothing of Node. */
import { gzipSync } from "node:zlib";
import { build } from "esbuild";
import { expect, it } from "vitest";

const MAX_GZIP_BYTES = 20_000;

it("is at most 20 kB compressed, and needs no other module", async () => {
  const { outputFiles, metafile } = await build({
    entryPoints: ["src/client/index.ts"],
    bundle: true,
    minify: true,
    format: "esm",
    target: "es2022",
    // Anything of Node would fail the build.
    platform: "browser",
    write: false,
    metafile: true,
  });
  expect(gzipSync(outputFiles[0]?.contents ?? "").length).toBeLessThanOrEqual(MAX_GZIP_BYTES);
  expect(Object.keys(metafile.inputs).filter((path) => !path.startsWith("src/client/"))).toEqual([]);
});
