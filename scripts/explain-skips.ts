/** Owns the explanation of skipped tests: the missing part, the reason, and the command that installs it. */
import { findMissingParts, PART_NAMES, PARTS, type PartName } from "../test/support/needs.ts";
import type { SkippedTest } from "./test-counts.ts";

export interface SkipReport {
  /** Tests that were skipped although this machine has every part that they need. */
  readonly unexplained: number;
  readonly lines: readonly string[];
}

export function explainSkips(
  skipped: readonly SkippedTest[],
  missing: ReadonlyMap<PartName, string> = findMissingParts(),
): SkipReport {
  const lines: string[] = [];
  const packages = new Set<string>();
  for (const part of PART_NAMES) {
    const reason = missing.get(part);
    const count = skipped.filter(({ parts }) => parts.includes(part)).length;
    if (reason === undefined || count === 0) continue;
    lines.push(`  ${part}: ${count} ${count === 1 ? "test" : "tests"} (${reason})`);
    for (const name of PARTS[part].packages) packages.add(name);
  }
  const unexplained = skipped.filter(({ parts }) => !parts.some((part) => missing.has(part as PartName)));
  if (packages.size > 0) {
    lines.unshift("Some tests were skipped, because this machine lacks parts that they need:");
    lines.push(`To run them too: apt-get install --no-install-recommends ${[...packages].join(" ")}`);
  }
  lines.push(...unexplained.map(({ name }) => `Skipped without a missing part, which counts as failed: ${name}`));
  return { unexplained: unexplained.length, lines };
}
