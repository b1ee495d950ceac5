/** Packages installed by the clients, from an index of the test's own. */
// @module-tag pip
import { afterAll, beforeAll, expect, it } from "vitest";
import { testPython } from "../../scripts/python-tests.ts";
import { runStep } from "../../scripts/run-step.ts";
import { connect } from "../../src/client/index.ts";
import { startPackageIndex, type TestIndex } from "../support/package-index.ts";
import { type Product, startProduct } from "../support/product.ts";

let index: TestIndex;
let product: Product;
beforeAll(async () => {
  index = await startPackageIndex([{ name: "greeting", version: "1.0", module: "text = 'hello'" }]);
  product = await startProduct({ PACKAGE_INDEX_URL: index.url });
});
afterAll(async () => {
  await product?.stop();
  await index?.close();
});

it.each([
  ["over a WebSocket", {}],
  ["over HTTP", { WebSocket: null }],
])("installs a package by the TypeScript client (%s)", async (_, options) => {
  const client = connect({ url: product.url, ...options });
  let printed = "";
  const { ok } = await client.install(["greeting==1.0"], {
    onOutput: (text) => {
      printed += text;
    },
  });
  expect(ok).toBe(true);
  expect(printed).toContain("Successfully installed greeting-1.0");
  expect((await client.run("import greeting; greeting.text")).value).toBe("hello");
  const failed = await client.install(["absent"]);
  expect(failed.error).toMatchObject({ type: "PackageError" });
  client.close();
});

it("installs a package by the Python client", async () => {
  const code = `import sys
from pyrepl3 import Client
with Client(sys.argv[1]) as client:
    client.install("greeting==1.0").check()
    print(client.run("import greeting; greeting.text").value, client.install("absent").error.exception_type)`;
  const env = { ...process.env, PYTHONPATH: "src/client-python", PYTHONDONTWRITEBYTECODE: "1" };
  const { exitCode, printed } = await runStep(testPython(), ["-c", code, product.url], { env });
  expect({ exitCode, printed }).toEqual({ exitCode: 0, printed: "hello PackageError\n" });
});
