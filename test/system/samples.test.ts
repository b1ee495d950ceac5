/** The README's samples, pasted as they are into a shell in this folder, against the product on another port. */
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, it } from "vitest";
import { runStep } from "../../scripts/run-step.ts";
import { type Product, startProduct } from "../support/product.ts";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
let product: Product;
beforeAll(async () => {
  product = await startProduct();
});
afterAll(async () => {
  await product?.stop();
});

/** The first shell sample under a heading. */
function sampleUnder(heading: string): string {
  const section = readFileSync(`${ROOT}README.md`, "utf8").split(`\n## ${heading}\n`)[1] ?? "";
  const sample = /```sh\n([\s\S]*?)```/.exec(section)?.[1];
  if (sample === undefined) throw new Error(`README.md has no sample under ${heading}`);
  return sample.replaceAll("127.0.0.1:8787", new URL(product.url).host);
}

async function paste(sample: string): Promise<string> {
  const { exitCode, printed } = await runStep("bash", ["-euc", sample]);
  expect(exitCode, printed).toBe(0);
  return printed;
}

it("With curl", { tags: "curl" }, async () => {
  const printed = await paste(sampleUnder("With curl"));
  const [first = "", ...events] = printed.split(/(?<=\})\s*(?=\{"type")/);
  expect(JSON.parse(first)).toMatchObject({ status: "succeeded", stdout: "Hello\n", result: { value: 42 } });
  const lines = events.map((line) => JSON.parse(line));
  expect(lines.map((line) => line.data.data ?? "").join("")).toBe("41\n42\n43\n");
  expect(lines.at(-1).type).toBe("result");
});

it("Over a WebSocket", async () => {
  expect(await paste(sampleUnder("Over a WebSocket"))).toBe("Hello Ada\n=> 3\n");
});

it("From TypeScript, Python and the terminal", async () => {
  expect(await paste(sampleUnder("From TypeScript, Python and the terminal"))).toBe("45\n90\n135\n");
});

it("As a library, without any network", { tags: "bubblewrap" }, async () => {
  const printed = await paste(sampleUnder("As a library, without any network"));
  expect(printed).toMatch(/^output .*Hello/s);
  expect(printed).toMatch(/result .*value: 42/s);
});
