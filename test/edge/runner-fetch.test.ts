/** How the edge reaches a runner: over the network, or through a container's binding. */
import { env } from "cloudflare:workers";
import { afterEach, expect, it, vi } from "vitest";
import { fetchRunner } from "../../src/runner-fetch.ts";

const bindings = env as { RUNNERS?: unknown };

afterEach(() => {
  delete bindings.RUNNERS;
  vi.unstubAllGlobals();
});

it("asks the container that the host names, and anything else over the network", async () => {
  bindings.RUNNERS = {
    idFromName: (name: string) => name,
    get: (name: string) => ({ fetch: async (url: string) => new Response(`${name} got ${url}`) }),
  };
  vi.stubGlobal("fetch", async (url: URL) => new Response(`the network got ${url.href}`));
  const ask = async (url: string) => (await fetchRunner(new URL(url), {})).text();
  expect(await ask("http://runner-2.runner.internal/ready")).toBe("runner-2 got http://runner-2.runner.internal/ready");
  expect(await ask("http://10.0.0.7:8788/ready")).toBe("the network got http://10.0.0.7:8788/ready");
  expect(await ask("http://a.b.runner.internal/")).toBe("the network got http://a.b.runner.internal/");
});

it("uses the network if there are no containers", async () => {
  vi.stubGlobal("fetch", async () => new Response("the network"));
  expect(await (await fetchRunner(new URL("http://runner-2.runner.internal/"), {})).text()).toBe("the network");
});
