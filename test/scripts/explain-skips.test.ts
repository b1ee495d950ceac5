/** Holds what a test run says about skipped tests. */
import { readFileSync } from "node:fs";
import { expect, it } from "vitest";
import { explainSkips } from "../../scripts/explain-skips.ts";
import { PART_NAMES, PARTS } from "../support/needs.ts";

const skipped = (name: string, ...parts: string[]) => ({ name, parts });

it("names each missing part with its tests, its reason, and one command for all", () => {
  const tests = [skipped("one", "numpy"), skipped("two", "numpy", "browser"), skipped("three", "network")];
  const missing = new Map([
    ["numpy", "no module"],
    ["browser", "no browser"],
    ["network", "no slirp4netns"],
    ["curl", "no curl"],
  ] as const);
  const { unexplained, lines } = explainSkips(tests, missing);
  expect(unexplained).toBe(0);
  expect(lines).toEqual([
    "Some tests were skipped, because this machine lacks parts that they need:",
    "  network: 1 test (no slirp4netns)",
    "  browser: 1 test (no browser)",
    "  numpy: 2 tests (no module)",
    "To run them too: apt-get install --no-install-recommends slirp4netns iproute2 chromium python3-numpy",
  ]);
});

it("counts a test that is skipped although every part is there", () => {
  const { unexplained, lines } = explainSkips([skipped("one", "numpy"), skipped("two")], new Map());
  expect(unexplained).toBe(2);
  expect(lines).toEqual([
    "Skipped without a missing part, which counts as failed: one",
    "Skipped without a missing part, which counts as failed: two",
  ]);
});

it("knows no package that CI does not install", () => {
  const installed = readFileSync(".ci/run", "utf8");
  for (const part of PART_NAMES) {
    for (const name of PARTS[part].packages) expect(installed, name).toMatch(new RegExp(`[( ]${name}[ )]`));
  }
});
