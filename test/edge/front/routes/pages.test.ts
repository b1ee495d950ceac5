/** The pages that the edge serves itself: nothing foreign in them, and a policy that would not let anything in. */
import { describe, expect, it } from "vitest";
import { testFront } from "../../support/front.ts";

describe("pages", () => {
  it.each(["/", "/docs"])("%s loads from its own origin only", async (path) => {
    const response = await testFront().fetch(path);
    expect(response.status).toBe(200);
    expect(response.headers.get("content-type")).toBe("text/html; charset=utf-8");
    const policy = response.headers.get("content-security-policy") ?? "";
    expect(policy).toContain("default-src 'none'");
    expect(policy).toContain("script-src 'self';");
    expect(policy).not.toContain("unsafe-eval");
    const html = await response.text();
    expect(html).toContain("<html");
    expect(html).not.toMatch(/(src|href)="(https?:)?\/\//);
    expect(html).not.toMatch(/<script(?![^>]* src=)/);
    for (const [, asset] of html.matchAll(/(?:src|href)="(\/assets\/[^"]+)"/g)) {
      const file = await testFront().fetch(asset ?? "");
      expect([file.status, (await file.text()).length > 50], asset).toEqual([200, true]);
    }
  });

  it("gives the console a new nonce each time, and names it in the policy", async () => {
    const nonces = new Set<string>();
    for (let index = 0; index < 2; index += 1) {
      const response = await testFront().fetch("/");
      const html = await response.text();
      const nonce = /nonce-([0-9a-f-]{36})/.exec(response.headers.get("content-security-policy") ?? "")?.[1] ?? "";
      expect(html).toContain(nonce);
      expect(html).not.toContain("{{");
      nonces.add(nonce);
    }
    expect(nonces.size).toBe(2);
  });

  it("connects to this host only", async () => {
    const policy = (await testFront().fetch("/")).headers.get("content-security-policy");
    expect(policy).toContain("connect-src 'self' wss://edge.test;");
  });

  it("spares a browser what it has", async () => {
    const first = await testFront().fetch("/assets/console.js");
    const etag = first.headers.get("etag") ?? "";
    const again = await testFront().fetch("/assets/console.js", { headers: { "if-none-match": etag } });
    expect(again.status).toBe(304);
  });

  it.each(["console.html", "__proto__", "toString", "..%2fpages.json"])("has no file %s", async (name) => {
    expect((await testFront().fetch(`/assets/${name}`)).status).toBe(404);
  });
});
