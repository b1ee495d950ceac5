/** The TypeScript client as a web page gets it: one small file that needs nothing of Node. */
import { gzipSync } from "node:zlib";
import { expect, it } from "vitest";
import { bundleClient } from "./client-bundle.ts";

const MAX_GZIP_BYTES = 20_000;

it("is at most 20 kB compressed, and needs no other module", async () => {
  const { text, inputs } = await bundleClient();
  expect(gzipSync(text).length).toBeLessThanOrEqual(MAX_GZIP_BYTES);
  expect(inputs.filter((path) => !path.startsWith("src/client/"))).toEqual([]);
});
