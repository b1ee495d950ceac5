/**
 * Checks the numbers of the system calls against the kernel's own. `kernel-numbers.json` has those of Linux 6.1's headers (asm/unistd_64.h
 * for x86_64, asm-generic/unistd.h for aarch64). If this machine has the headers too, they are read as well.
 */
import { existsSync, readFileSync } from "node:fs";
import { expect, it } from "vitest";
import { bareRules } from "../../../../worker-runner/sandbox/seccomp/bare-rules.ts";
import { ABSENT, GUARDED, PRETENDED, REFUSED } from "../../../../worker-runner/sandbox/seccomp/seccomp-table.ts";
import kernelNumbers from "./kernel-numbers.json" with { type: "json" };

const guarded = Object.entries(GUARDED).map(([name, { numbers }]) => [name, numbers] as const);
const table = [...Object.entries({ ...REFUSED, ...ABSENT, ...PRETENDED }), ...guarded];

const bare = bareRules({ hasOwnUser: false, hasTruncate: false, hasProxy: true });
const bareTable = [
  ...Object.entries({ ...bare.refused, ...bare.absent, ...bare.pretended }),
  ...Object.entries(bare.guarded).map(([name, { numbers }]) => [name, numbers] as const),
];

const headers = [
  ["x86_64", 0, "/usr/include/x86_64-linux-gnu/asm/unistd_64.h"],
  ["aarch64", 1, "/usr/include/asm-generic/unistd.h"],
] as const;

it("has the kernel's number for every call, and every call once", () => {
  expect(Object.fromEntries(table)).toEqual(kernelNumbers);
  for (const each of [table, bareTable]) {
    for (const column of [0, 1] as const) {
      const numbers = each.map(([, both]) => both[column]).filter((number) => number !== null);
      expect(new Set(numbers).size).toBe(numbers.length);
    }
  }
});

it.each(headers.filter(([, , path]) => existsSync(path)))(
  "agrees with this machine's headers on %s",
  (_, column, path) => {
    const definitions = readFileSync(path, "utf8").matchAll(/^#define __NR(?:3264)?_(\w+)\s+(\d+)$/gm);
    const numbers = new Map(Array.from(definitions, ([, name, number]) => [name, Number(number)]));
    expect(numbers.size).toBeGreaterThan(250);
    for (const [name, both] of [...table, ...bareTable]) {
      const known = numbers.get(name);
      if (known !== undefined) expect([name, both[column]]).toEqual([name, known]);
    }
  },
);
