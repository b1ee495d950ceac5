/** The TypeScript client in a real browser, on pages of other origins that have a token: a bare page, and the one of the examples. */
// @module-tag browser
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { SignJWT } from "jose";
import { type Browser, chromium } from "playwright-core";
import { afterAll, beforeAll, expect, it } from "vitest";
import { servePage } from "../../examples/serve-page.ts";
import { findBrowser } from "../support/needs.ts";
import { freePort, type Product, startProduct } from "../support/product.ts";
import { bundleClient } from "./client-bundle.ts";

const SECRET = "a secret of at least thirty-two characters";

const PAGE = `<!doctype html><title>A page</title>
<script type="module">import { connect } from "/client.js"; window.connect = connect;</script>`;

let pages: Server;
let origin: string;
let examplePort: number;
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
  examplePort = await freePort();
  const example = `http://127.0.0.1:${examplePort}`;
  product = await startProduct({ JWT_SECRET: SECRET, ALLOWED_ORIGINS: `${origin},${example}` });
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

it("runs code of the example's page, which gets its token from its own server", async () => {
  const server = await servePage({ port: examplePort, service: product.url, secret: SECRET, user: "ada" });
  const page = await browser.newPage();
  page.on("dialog", (dialog) => void dialog.accept("Ada"));
  try {
    await page.goto(`http://127.0.0.1:${examplePort}`);
    await page.click("#run");
    await page.locator("#output", { hasText: "Hello Ada" }).waitFor();
    await page.fill("#code", "1 / 0");
    await page.click("#run");
    await page.locator("#output", { hasText: "ZeroDivisionError" }).waitFor();
  } finally {
    await page.close();
    await server.close();
  }
});
