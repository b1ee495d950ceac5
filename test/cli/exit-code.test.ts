/** Which exit code each outcome has. */
import { expect, it } from "vitest";
import { exitCodeOf } from "../../src/cli/exit-code.ts";
import type { Failure } from "../../src/client/outcome.ts";

const failure: Failure = {
  type: "ValueError",
  message: "",
  traceback: "",
  reason: "exception",
  state: "kept",
  lostExecutions: [],
};

it.each([
  [0, null],
  [1, failure],
  [124, { ...failure, reason: "timeout" as const }],
  [130, { ...failure, reason: "interrupted" as const }],
  [130, { ...failure, reason: "cancelled" as const }],
  [137, { ...failure, reason: "out_of_memory" as const }],
  [69, { ...failure, reason: "runner_lost" as const }],
  [0, { ...failure, type: "SystemExit" }],
  [3, { ...failure, type: "SystemExit", message: "3" }],
  [255, { ...failure, type: "SystemExit", message: "-1" }],
  [1, { ...failure, type: "SystemExit", message: "no such file" }],
])("%d for %o", (code, error) => {
  expect(exitCodeOf({ error })).toBe(code);
});
