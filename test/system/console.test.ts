/** The console as its user sees it: a real browser against the real product, and nothing of what code prints becomes markup. */
// @module-tag browser
import { readFile } from "node:fs/promises";
import { type Browser, chromium, type Page, type WebSocketRoute } from "playwright-core";
import { afterAll, beforeAll, expect, it } from "vitest";
import { findBrowser } from "../support/needs.ts";
import { type Product, startProduct } from "../support/product.ts";

/** Without these, Chromium looks for its maker's hosts at every start. */
const CHROMIUM_FLAGS = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];
const SECRET = "a secret of at least thirty-two characters";

let product: Product;
let browser: Browser;

beforeAll(async () => {
  product = await startProduct();
  browser = await chromium.launch({
    executablePath: findBrowser() ?? "chromium",
    args: CHROMIUM_FLAGS,
  });
});
afterAll(async () => {
  await browser?.close();
  await product?.stop();
});

interface Opened {
  page: Page;
  /** What the page said that it should not have: errors, dialogs, requests to other hosts. */
  complaints: string[];
  close(): Promise<void>;
}

async function openConsole(url = product.url): Promise<Opened> {
  const context = await browser.newContext({ viewport: { width: 1100, height: 850 } });
  const page = await context.newPage();
  const complaints: string[] = [];
  page.on("pageerror", (error) => complaints.push(error.message));
  page.on("console", (message) => {
    if (message.type() === "error") complaints.push(message.text());
  });
  page.on("dialog", (dialog) => {
    complaints.push(`dialog: ${dialog.message()}`);
    void dialog.dismiss();
  });
  page.on("request", (request) => {
    if (!/^(data|blob):/.test(request.url()) && new URL(request.url()).host !== new URL(url).host) {
      complaints.push(`request: ${request.url()}`);
    }
  });
  await page.goto(url);
  return { page, complaints, close: () => context.close() };
}

const connected = (page: Page) => page.waitForSelector('#state[data-state="open"]');

/** Types code, runs it with Shift+Enter, and gives its place on the page. */
async function run(page: Page, code: string) {
  await page.locator(".cm-content").click();
  await page.keyboard.insertText(code);
  const before = await page.locator(".execution").count();
  await page.keyboard.press("Shift+Enter");
  return page.locator(".execution").nth(before);
}

const ended = (page: Page, index: number, status: string) =>
  page.locator(`.execution:nth-of-type(${index})[data-status="${status}"]`).waitFor();

it("runs code and shows output, values, errors and pictures as they are", async () => {
  const { page, complaints, close } = await openConsole();
  await connected(page);
  const first = await run(
    page,
    "x = 42\nprint('\\x1b[31mred\\x1b[0m <b id=injected>x</b><script>alert(1)</script>')\nx",
  );
  await first.locator(".value").waitFor();
  expect(await first.locator(".stdout").textContent()).toContain("red <b id=injected>x</b><script>alert(1)</script>");
  expect(await first.locator(".ansi-fg-1").textContent()).toBe("red");
  expect(await first.locator(".value").textContent()).toBe("42");
  expect(await page.locator("#injected, .execution script").count()).toBe(0);
  const failed = await run(page, "1/0");
  expect(await failed.locator(".traceback").textContent()).toContain("ZeroDivisionError");
  expect(complaints).toEqual([]);
  await close();
}, 120_000);

it("shows a figure of matplotlib", { tags: "matplotlib", timeout: 120_000 }, async () => {
  const { page, complaints, close } = await openConsole();
  await connected(page);
  const figure = await run(page, "import matplotlib.pyplot as plt\nplt.plot([1, 4, 9])\nplt.show()");
  await figure.locator("img.picture").waitFor({ timeout: 60_000 });
  expect(
    await figure.locator("img.picture").evaluate((image: { naturalWidth: number }) => image.naturalWidth),
  ).toBeGreaterThan(100);
  expect(complaints).toEqual([]);
  await close();
});

it("strips HTML that code displays to what can do nothing", async () => {
  const { page, complaints, close } = await openConsole();
  await connected(page);
  const shown = await run(
    page,
    [
      "class Evil:",
      "    def _repr_html_(self):",
      "        return '<table><tr><th colspan=2>head</th></tr></table><script>alert(1)</script><iframe src=//evil.test></iframe>'",
      '        + \'<a href="javascript:alert(2)">js</a><a href="https://ok.test">ok</a><form action=//evil.test><input></form>\'',
      "Evil()",
    ]
      .join("\n")
      .replace("iframe>'\n        +", "iframe>' \\\n            +"),
  );
  const html = shown.locator(".html");
  await html.waitFor();
  expect(await html.locator("th").getAttribute("colspan")).toBe("2");
  expect(await html.locator("script, iframe, form, input, [onclick], [onerror], [style]").count()).toBe(0);
  expect(await html.locator("a[href]").count()).toBe(1);
  expect(complaints).toEqual([]);
  await close();
});

it("answers input(), hides a password, and sends end of file", async () => {
  const { page, close } = await openConsole();
  await connected(page);
  const asking = await run(
    page,
    "import getpass\nname = input('who? ')\nsecret = getpass.getpass('key? ')\n(name, len(secret))",
  );
  await asking.locator(".prompt input").waitFor();
  await page.keyboard.type("Ada");
  await page.keyboard.press("Enter");
  await asking.locator('.prompt input[type="password"]').waitFor();
  await page.keyboard.type("four");
  await page.keyboard.press("Enter");
  await asking.locator(".value").waitFor();
  expect(await asking.locator(".value").textContent()).toBe("('Ada', 4)");
  expect(await asking.textContent()).not.toContain("four");
  const ending = await run(page, "input()");
  await ending.locator(".prompt input").waitFor();
  await page.keyboard.press("Control+d");
  await ending.locator(".traceback").waitFor();
  expect(await ending.locator(".traceback").textContent()).toContain("EOFError");
  await close();
});

it("interrupts, checkpoints, restores and resets", async () => {
  const { page, close } = await openConsole();
  await connected(page);
  await run(page, "x = 'kept'");
  const looping = await run(page, "print('on', flush=True)\nwhile True: pass");
  await looping.locator(".stdout").waitFor();
  await page.click("#interrupt");
  await looping.locator(".traceback").waitFor();
  expect(await looping.getAttribute("data-status")).toBe("interrupted");
  await page.click("#toggle-side");
  await page.click("#checkpoint");
  await page.locator("#checkpoints li").waitFor();
  await run(page, "x = 'changed'");
  await ended(page, 3, "succeeded");
  await page.locator("#checkpoints li button", { hasText: "Restore" }).click();
  await page.locator(".event", { hasText: "Back at" }).waitFor();
  const seen = await run(page, "x");
  await seen.locator(".value").waitFor();
  expect(await seen.locator(".value").textContent()).toBe("'kept'");
  page.removeAllListeners("dialog");
  page.on("dialog", (dialog) => void dialog.accept());
  await page.click("#reset");
  await page.locator(".event", { hasText: "reset" }).waitFor();
  const gone = await run(page, "x");
  await gone.locator(".traceback").waitFor();
  expect(await gone.locator(".traceback").textContent()).toContain("NameError");
  await close();
});

it("comes back after a reload with everything that was there, and after a break with what came meanwhile", async () => {
  const { page, complaints, close } = await openConsole();
  const sockets: WebSocketRoute[] = [];
  await page.routeWebSocket(/\/ws\/v1\/session/, (socket) => {
    sockets.push(socket);
    socket.connectToServer();
  });
  await connected(page);
  const first = await run(page, "print('before the reload'); 1");
  await first.locator(".value").waitFor();
  await page.reload();
  await connected(page);
  const again = page.locator(".execution").first();
  await again.locator(".value").waitFor();
  expect(await again.locator(".code").textContent()).toBe("print('before the reload'); 1");
  expect(await again.locator(".stdout").textContent()).toBe("before the reload\n");
  const slow = await run(
    page,
    "import time\nfor i in range(20):\n    print(i, flush=True)\n    time.sleep(0.1)\n'done'",
  );
  await slow.locator(".stdout", { hasText: "3" }).waitFor();
  const opened = sockets.length;
  await sockets.at(-1)?.close({ code: 1011 });
  await expect.poll(() => sockets.length).toBe(opened + 1);
  await slow.locator(".value").waitFor();
  expect(await slow.locator(".stdout").textContent()).toBe(
    `${Array.from({ length: 20 }, (_, index) => index).join("\n")}\n`,
  );
  expect(complaints).toEqual([]);
  await close();
});

it("completes names from the live session", async () => {
  const { page, close } = await openConsole();
  await connected(page);
  await run(page, "alphabet_soup = 1");
  await ended(page, 1, "succeeded");
  await page.locator(".cm-content").click();
  await page.keyboard.type("alphabet_");
  await page.keyboard.press("Tab");
  await page.locator(".cm-tooltip-autocomplete", { hasText: "alphabet_soup" }).waitFor();
  // The editor takes no choice in the first moment, so that what was meant for the text does not become one.
  const typed = async () => {
    await page.keyboard.press("Tab");
    return page.locator(".cm-line").first().textContent();
  };
  await expect.poll(typed).toBe("alphabet_soup");
  await close();
});

it("lists files after each execution, takes dropped and picked ones, and downloads and deletes them", async () => {
  const { page, complaints, close } = await openConsole();
  await connected(page);
  await page.locator("#toggle-side").click();
  await page.locator("#files-note", { hasText: "None yet" }).waitFor();
  await run(page, "open('<b>made', 'w').write('by code')");
  await page.locator("#files li strong", { hasText: "<b>made" }).waitFor();
  expect(await page.locator("#files b").count()).toBe(0);
  await page
    .locator("#file-picker")
    .setInputFiles({ name: "picked.txt", mimeType: "text/plain", buffer: Buffer.from("picked") });
  await page.locator("#files li strong", { hasText: "picked.txt" }).waitFor();
  const dropped = await page.evaluateHandle(
    "(() => { const t = new DataTransfer(); t.items.add(new File(['dropped'], 'dropped.txt')); return t; })()",
  );
  await page.locator("#files-panel").dispatchEvent("drop", { dataTransfer: dropped });
  await page.locator("#files li strong", { hasText: "dropped.txt" }).waitFor();
  const read = await run(page, "open('picked.txt').read() + open('dropped.txt').read()");
  await read.locator(".value", { hasText: "pickeddropped" }).waitFor();
  const [download] = await Promise.all([
    page.waitForEvent("download"),
    page.locator('[aria-label="Download dropped.txt"]').click(),
  ]);
  expect(download.suggestedFilename()).toBe("dropped.txt");
  expect(await readFile(await download.path(), "utf8")).toBe("dropped");
  await page.locator('[aria-label="Delete picked.txt"]').click();
  await page.locator("#files li strong", { hasText: "picked.txt" }).waitFor({ state: "detached" });
  expect(await page.locator("#files li").count()).toBe(2);
  expect(complaints).toEqual([]);
  await close();
}, 120_000);

it("shows variables, and keeps them right after executions, an undo and a failed reading", async () => {
  const { page, complaints, close } = await openConsole();
  await connected(page);
  await page.click("#toggle-side");
  await page.locator("#variables-note", { hasText: "None yet" }).waitFor();
  // With this policy each execution has a copy to go back to, also if they follow each other at once.
  await page.selectOption("#policy", "rollback_on_failure");
  await run(page, "first = 1\nmarkup = '<b>bold</b>'");
  await page.locator("#variables li", { hasText: "markup" }).waitFor();
  expect(await page.locator("#variables li").allTextContents()).toEqual(["markup str'<b>bold</b>'", "first int1"]);
  expect(await page.locator("#variables b").count()).toBe(0);
  await run(page, "first = 'changed'");
  await page.locator("#variables li", { hasText: "changed" }).waitFor();
  await page.click("#undo");
  await page.locator(".event", { hasText: "as they were before “first = 'changed'”" }).waitFor();
  await page.locator("#variables li", { hasText: "first int1" }).waitFor();
  expect(complaints).toEqual([]);
  await page.route("**/session/variables*", (route) => route.abort());
  await run(page, "second = 2");
  await page.locator("#variables-note", { hasText: "The edge does not answer." }).waitFor();
  await page.unroute("**/session/variables*");
  await run(page, "third = 3");
  await page.locator("#variables li", { hasText: "third" }).waitFor();
  expect(await page.locator("#variables-note").isVisible()).toBe(false);
  await close();
}, 120_000);

it("says why nothing can be undone", async () => {
  const { page, close } = await openConsole();
  await connected(page);
  await page.click("#undo");
  await page.locator("#notices p", { hasText: "no earlier state is kept" }).waitFor();
  await page.locator("#undo:enabled").waitFor();
  await close();
});

it("branches into a session that goes on by itself, from the keyboard alone", async () => {
  const { page, close } = await openConsole();
  await connected(page);
  await run(page, "x = 'shared'");
  await ended(page, 1, "succeeded");
  const branch = page.locator("#branch");
  const dialog = page.locator("#branch-dialog");
  await branch.focus();
  await page.keyboard.press("Enter");
  expect(await page.locator("#branch-name").inputValue()).toBe("default-2");
  await page.keyboard.press("Escape");
  await dialog.waitFor({ state: "hidden" });
  await page.keyboard.press("Enter");
  await page.keyboard.type("default");
  await page.keyboard.press("Enter");
  await page.locator("#branch-error", { hasText: "default" }).waitFor();
  await page.keyboard.press("ControlOrMeta+a");
  await page.keyboard.type("attempt");
  await page.keyboard.press("Enter");
  await dialog.waitFor({ state: "hidden" });
  await page.locator(".event button", { hasText: "Open attempt" }).click();
  await connected(page);
  expect(await page.locator("#session-name").inputValue()).toBe("attempt");
  const there = await run(page, "x = x + ' once'; x");
  await there.locator(".value", { hasText: "'shared once'" }).waitFor();
  await page.click("#toggle-side");
  await page.fill("#session-name", "default");
  await page.click("#identity button");
  await page.locator(".execution .code", { hasText: "x = 'shared'" }).waitFor();
  await connected(page);
  const here = await run(page, "x");
  await here.locator(".value", { hasText: "'shared'" }).waitFor();
  await close();
}, 120_000);

it("tells which files an execution changed, also after a reload", async () => {
  const { page, complaints, close } = await openConsole();
  await connected(page);
  const made = await run(page, "open('<b>.txt', 'w').write('12345')");
  await made.locator(".changes").waitFor();
  expect(await made.locator(".changes").textContent()).toBe("Files changed: 1created <b>.txt (5 B)");
  const failed = await run(page, "import os\nos.remove('<b>.txt')\n1/0");
  await failed.locator(".changes li", { hasText: "deleted <b>.txt" }).waitFor();
  const quiet = await run(page, "1");
  await quiet.locator(".value").waitFor();
  expect(await quiet.locator(".changes").count()).toBe(0);
  await page.reload();
  await connected(page);
  await page.locator(".execution .changes li", { hasText: "created <b>.txt" }).waitFor();
  expect(complaints).toEqual([]);
  await close();
}, 120_000);

it("says what the edge says where it asks for a token", async () => {
  const guarded = await startProduct({ JWT_SECRET: SECRET });
  try {
    const { page, close } = await openConsole(guarded.url);
    await page.locator("#state", { hasText: "Authorization" }).waitFor();
    await page.click("#toggle-side");
    const { SignJWT } = await import("jose");
    const token = await new SignJWT({ sub: "tenant" })
      .setProtectedHeader({ alg: "HS256" })
      .setExpirationTime("5m")
      .sign(new TextEncoder().encode(SECRET));
    await page.fill("#token", token);
    await page.click("#identity button");
    await connected(page);
    const executed = await run(page, "6 * 7");
    await executed.locator(".value").waitFor();
    expect(page.url()).not.toContain(token);
    await close();
  } finally {
    await guarded.stop();
  }
});

it("shows the API's documentation without a foreign host", async () => {
  const { page, complaints, close } = await openConsole(`${product.url}/docs`);
  await page.locator(".opblock-summary-path", { hasText: "/api/v1/execute" }).first().waitFor();
  expect(complaints).toEqual([]);
  await close();
});
