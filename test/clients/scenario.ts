/** Owns the scenarios that every client runs: what they say, and how an outcome is held against it. */
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { expect } from "vitest";
import { z } from "zod";

const Expectation = z.strictObject({
  ok: z.boolean(),
  value: z.unknown().optional(),
  repr: z.string().optional(),
  stdout: z.string().optional(),
  stderr: z.string().optional(),
  errorType: z.string().optional(),
  reason: z.string().optional(),
  state: z.string().optional(),
  /** What the traceback has in it. */
  traceback: z.string().optional(),
  /** The output is the numbers from 0 to one less than this, a line each. */
  stdoutLines: z.int().optional(),
  stdoutChars: z.int().optional(),
  /** The value is the output's SHA-256. */
  stdoutHasDigestOfValue: z.boolean().optional(),
});

const RunStep = z.strictObject({
  run: z.string(),
  timeout: z.number().optional(),
  policy: z.enum(["commit_always", "rollback_on_failure", "rollback_always"]).optional(),
  /** Answers to its questions, in turn. */
  inputs: z.array(z.string().nullable()).optional(),
  interruptAfterOutput: z.boolean().optional(),
  /** The connection is cut once so many characters of output came. */
  cutAfterChars: z.int().optional(),
  expect: Expectation,
});
export type RunStep = z.infer<typeof RunStep>;

const Scenario = z.strictObject({
  name: z.string(),
  steps: z.array(
    z.union([RunStep, z.strictObject({ checkpoint: z.string() }), z.strictObject({ restore: z.string() })]),
  ),
});

export const scenarios = z
  .array(Scenario)
  .parse(JSON.parse(readFileSync(new URL("scenarios.json", import.meta.url), "utf8")));

/** What a client says of an execution. */
export interface Seen {
  ok: boolean;
  value: unknown;
  repr: string | null;
  stdout: string;
  stderr: string;
  error: { type: string; reason: string; state: string; traceback: string } | null;
}

/** Holds an outcome against what the step expects. */
export function expectOutcome(seen: Seen, { expect: wanted }: RunStep): void {
  const { value, repr, stdout, stderr, errorType: type, reason, state, traceback } = wanted;
  const texts = { ok: wanted.ok, value, repr, stdout, stderr };
  expect(seen).toMatchObject(Object.fromEntries(Object.entries(texts).filter(([, one]) => one !== undefined)));
  const failure = { type, reason, state };
  for (const [name, one] of Object.entries(failure)) {
    if (one !== undefined) expect(seen.error).toHaveProperty(name, one);
  }
  if (traceback !== undefined) expect(seen.error?.traceback).toContain(traceback);
  if (wanted.stdoutLines !== undefined) {
    const lines = Array.from({ length: wanted.stdoutLines }, (_, index) => `${index}\n`);
    expect(seen.stdout).toBe(lines.join(""));
  }
  if (wanted.stdoutChars !== undefined) expect(seen.stdout.length).toBe(wanted.stdoutChars);
  if (wanted.stdoutHasDigestOfValue) expect(createHash("sha256").update(seen.stdout).digest("hex")).toBe(seen.value);
}
