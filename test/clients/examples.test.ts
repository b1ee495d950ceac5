/** The examples against everything real. */
import { afterAll, beforeAll, expect, it } from "vitest";
import { runCode } from "../../examples/run-code.ts";
import { type Client, connect } from "../../src/client/index.ts";
import { type Product, startProduct } from "../support/product.ts";

let product: Product;
let python: Client;
beforeAll(async () => {
  product = await startProduct();
  python = connect({ url: product.url });
});
afterAll(async () => {
  python?.close();
  await product?.stop();
});

it("gives a model the output, the value and the traceback of its code", async () => {
  expect(await runCode(python, "x = 20\nprint('Hello')\nx + 1")).toEqual({ text: "Hello\n21", images: [] });
  expect((await runCode(python, "x = 0\n1 / x")).text).toMatch(
    /^Traceback [\s\S]*ZeroDivisionError: division by zero$/,
  );
  expect(await runCode(python, "x")).toEqual({ text: "20", images: [] });
  expect((await runCode(python, "y = 1")).text).toBe("(no output)");
});

it("shortens long output in its middle", async () => {
  const { text } = await runCode(python, "print('a' * 9_000 + 'z')");
  expect(text).toMatch(/^a{2000}\n\[5001 characters left out\]\na{1999}z$/);
});
