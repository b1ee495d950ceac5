/** Runs the cases of cases.json over REST: sequences of executions in one session, each with what must come out. */
import { readFileSync } from "node:fs";
import { afterAll, beforeAll, expect, it } from "vitest";
import { z } from "zod";
import { type Product, startProduct } from "../support/product.ts";

const Step = z.strictObject({
  code: z.string(),
  timeout: z.number().optional(),
  expect: z.strictObject({
    status: z.string(),
    error_type: z.string().optional(),
    stdout_equals: z.string().optional(),
    stdout_length: z.number().optional(),
  }),
});
const Case = z.strictObject({ id: z.string(), title: z.string(), steps: z.array(Step) });
const cases = z.array(Case).parse(JSON.parse(readFileSync(new URL("cases.json", import.meta.url), "utf8")));

const Ended = z.object({
  status: z.string(),
  stdout: z.string(),
  error: z.object({ exception_type: z.string() }).nullish(),
});

let product: Product;
beforeAll(async () => {
  product = await startProduct();
});
afterAll(async () => {
  await product?.stop();
});

it.each(cases)("$id: $title", async ({ id, steps }) => {
  for (const { code, timeout, expect: wanted } of steps) {
    const answer = await fetch(`${product.url}/api/v1/execute?wait=60`, {
      method: "POST",
      headers: { "client-id": `case-${id}`, "content-type": "application/json" },
      body: JSON.stringify({ code, ...(timeout === undefined ? {} : { timeout }) }),
    });
    const ended = Ended.parse(await answer.json());
    expect(ended.status, code).toBe(wanted.status);
    if (wanted.error_type !== undefined) expect(ended.error?.exception_type, code).toBe(wanted.error_type);
    if (wanted.stdout_equals !== undefined) expect(ended.stdout, code).toBe(wanted.stdout_equals);
    if (wanted.stdout_length !== undefined) expect(ended.stdout.length, code).toBe(wanted.stdout_length);
  }
});
