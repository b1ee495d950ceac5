/** The TypeScript client in real workerd, as another Worker uses it. */
import { Miniflare } from "miniflare";
import { afterAll, beforeAll, expect, it } from "vitest";
import { type Product, startProduct } from "../support/product.ts";
import { bundleClient } from "./client-bundle.ts";

let product: Product;
let worker: Miniflare;

beforeAll(async () => {
  product = await startProduct();
  const { text } = await bundleClient();
  worker = new Miniflare({
    compatibilityDate: "2026-01-01",
    modules: [
      {
        type: "ESModule",
        path: "index.js",
        contents: `import { connect } from "./client.js";
export default {
  async fetch(request, { SERVICE }) {
    const more = new URL(request.url).pathname === "/http" ? { WebSocket: null } : {};
    const client = connect({ url: SERVICE, ...more });
    try {
      const { value, stdout } = await client.run("import tools; print(tools.double(n=3))\\n6 * 7", {
        tools: { double: ({ n }) => 2 * n },
      });
      return Response.json({ value, stdout });
    } catch (error) {
      return Response.json({ name: error.name, code: error.code, message: error.message }, { status: 500 });
    } finally {
      client.close();
    }
  },
};`,
      },
      { type: "ESModule", path: "client.js", contents: text },
    ],
    bindings: { SERVICE: product.url },
  });
  await worker.ready;
});
afterAll(async () => {
  await worker?.dispose();
  await product?.stop();
});

it.each(["/socket", "/http"])("runs code and answers its tools (%s)", async (path) => {
  const answer = await worker.dispatchFetch(`http://worker${path}`);
  expect(await answer.json()).toEqual({ value: 42, stdout: "6\n" });
});
