/** The TypeScript client in a real browser, on a page of another origin that has a token. */
// @module-tag browser
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { SignJWT } from "jose";
import { type Browser, chromium } from "playwright-core";
import { afterAll, beforeAll, expect, it } from "vitest";
import { findBrowser } from "../support/needs.ts";
import { type Product, startProduct } from "../support/product.ts";
import { bundleClient } from "./client-bundle.ts";

const SECRET = "a secret of at least thirty-two characters";

const PAGE = `<!doctype html><title>A page</title>
<script type="module">import { connect } from "/client.js"; window.connect = connect;</script>`;

let pages: Server;
let origin: string;
let product: Product;
let browser: Browser;

beforeAll(async () => {
  const { text } = await bundleClient();
  pages = createServer((request, response) => {
    const isScript = request.url === "/client.js";
    response.setHeader("content-type", isScript ? "text/javascript" : "text/html");
    response.end(isScript ? text : PAGE);
  });
  await new Promise<void>((resolve) => pages.listen(0, "127.0.0.1", resolve));
  origin = `http://127.0.0.1:${(pages.address() as AddressInfo).port}`;
  product = await startProduct({ JWT_SECRET: SECRET, ALLOWED_ORIGINS: origin });
  browser = await chromium.launch({
    executablePath: findBrowser() ?? "chromium",
    args: ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"],
  });
});
afterAll(async () => {
  await browser?.close();
  await product?.stop();
  pages?.close();
});

it.each([
  ["over a WebSocket", {}],
  ["over HTTP alone", { WebSocket: null }],
])("runs code, answers it and lists its executions %s", async (_, options) => {
  const token = await new SignJWT({ sub: "tenant" })
    .setProtectedHeader({ alg: "HS256" })
    .sign(new TextEncoder().encode(SECRET));
  const page = await browser.newPage();
  try {
    await page.goto(origin);
    const seen = await page.evaluate(
      async ({ url, token: bearer, more }) => {
        const { connect } = globalThis as unknown as typeof import("../../src/client/index.ts");
        const client = connect({ url, token: bearer, ...more });
        const { stdout, value } = await client.run("name = input()\nprint('Hello', name)\nlen(name)", {
          onInput: () => "Ada",
        });
        await client.configure({ env: { PLACE: "here" } });
        const { executions } = await client.executions();
        client.close();
        return { stdout, value, count: executions.length };
      },
      { url: product.url, token, more: options },
    );
    expect(seen).toEqual({ stdout: "Hello Ada\n", value: 3, count: 1 });
  } finally {
    await page.close();
  }
});
