import { expect, it } from "vitest";
import { parseConfig } from "../../../worker-runner/service/config.ts";

const RUNNER_TOKEN = "a-secret-of-sixteen-or-more";

it("has a default for everything but the secret", () => {
  expect(parseConfig({ RUNNER_TOKEN })).toMatchObject({
    RUNNER_PORT: 8788,
    HOST: "127.0.0.1",
    POOL_MIN_IDLE: 5,
    POOL_MAX_SESSIONS: 100,
    PYTHON: "python3",
    PRELOAD: [],
    SANDBOX: "auto",
    NETWORK: false,
    RING_MAX_BYTES: 4 * 1024 * 1024,
  });
  expect(() => parseConfig({})).toThrow("RUNNER_TOKEN is required");
});

it("names each wrong variable", () => {
  const wrong = {
    RUNNER_TOKEN: "short",
    RUNNER_PORT: "70000",
    SANDBOX: "docker",
    EDGE_URL: "ftp://x",
    NETWORK: "maybe",
  };
  for (const name of Object.keys(wrong)) expect(() => parseConfig(wrong)).toThrow(name);
});

it("takes an empty variable as absent, words for a switch, and a list", () => {
  const config = parseConfig({
    RUNNER_TOKEN,
    EDGE_URL: "",
    NETWORK: "on",
    PRELOAD: "numpy, pandas,",
    RUNNER_PORT: "0",
  });
  expect(config.EDGE_URL).toBeUndefined();
  expect(config).toMatchObject({ NETWORK: true, PRELOAD: ["numpy", "pandas"], RUNNER_PORT: 0 });
});

it("takes what code may reach, and refuses it beside what opens more", () => {
  const config = parseConfig({ RUNNER_TOKEN, EGRESS_ALLOW: "example.org, *.example.net:8443" });
  expect(config.EGRESS_ALLOW.entries).toEqual(["example.org", "*.example.net:8443"]);
  expect(parseConfig({ RUNNER_TOKEN }).EGRESS_ALLOW.entries).toEqual([]);
  expect(() => parseConfig({ RUNNER_TOKEN, EGRESS_ALLOW: "example.org,http://x" })).toThrow(
    'EGRESS_ALLOW has the entry "http://x", which cannot be understood: write example.org',
  );
  expect(() => parseConfig({ RUNNER_TOKEN, EGRESS_ALLOW: "a.org", NETWORK: "1" })).toThrow("set one of them only");
  expect(() => parseConfig({ RUNNER_TOKEN, EGRESS_ALLOW: "a.org", SANDBOX: "none" })).toThrow("needs a sandbox");
});

it("refuses credentials of the package index that cannot be read, without naming them", () => {
  const withCredentials = (text: string) =>
    parseConfig({ RUNNER_TOKEN, PACKAGE_INDEX_URL: `https://${text}@a.org/simple` });
  expect(() => withCredentials("user:se%cret")).toThrow(/^[^:]*: PACKAGE_INDEX_URL must have credentials(?!.*cret)/);
  expect(withCredentials("user:se%40cret").PACKAGE_INDEX_URL).toBe("https://user:se%40cret@a.org/simple");
});

it("refuses a pool that would keep more idle than it may have", () => {
  expect(() => parseConfig({ RUNNER_TOKEN, POOL_MIN_IDLE: "6", POOL_MAX_SESSIONS: "5" })).toThrow("POOL_MIN_IDLE");
  expect(() => parseConfig({ RUNNER_TOKEN, POOL_MIN_IDLE: "5", POOL_MAX_SESSIONS: "5" })).not.toThrow();
});

it("refuses a workspace that could fill all of the memory", () => {
  expect(() => parseConfig({ RUNNER_TOKEN, MEMORY_LIMIT_MB: "256" })).toThrow("WORKSPACE_LIMIT_MB (256) must be less");
  expect(() => parseConfig({ RUNNER_TOKEN, MEMORY_LIMIT_MB: "257" })).not.toThrow();
});
