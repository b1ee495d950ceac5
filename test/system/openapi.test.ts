/** The API's description against the OpenAPI 3.1 schema, and the product against its own description. */
import { Validator } from "@seriousme/openapi-schema-validator";
import { afterAll, beforeAll, expect, it } from "vitest";
import { type Product, startProduct } from "../support/product.ts";

let product: Product;
beforeAll(async () => {
  product = await startProduct();
});
afterAll(async () => {
  await product?.stop();
});

it("is valid OpenAPI 3.1", async () => {
  const description = await (await fetch(`${product.url}/openapi.json`)).json();
  const validator = new Validator();
  const outcome = await validator.validate(description as Record<string, unknown>);
  expect(outcome.errors ?? []).toEqual([]);
  expect(outcome.valid).toBe(true);
  expect(validator.version).toBe("3.1");
});

it("has every described call that needs no body or id", async () => {
  const description = (await (await fetch(`${product.url}/openapi.json`)).json()) as {
    paths: Record<string, Record<string, { responses: Record<string, unknown> }>>;
  };
  for (const [path, item] of Object.entries(description.paths)) {
    if (item.get === undefined || path.includes("{")) continue;
    const answer = await fetch(`${product.url}${path}`, { headers: { "client-id": "described" } });
    await answer.body?.cancel();
    expect(Object.keys(item.get.responses), path).toContain(String(answer.status));
  }
});
