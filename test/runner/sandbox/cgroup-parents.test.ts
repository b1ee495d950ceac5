/** Owns the proof that groups which a killed runner left are removed by the next one, and others are not. */
import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, rmdirSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { expect, it } from "vitest";
import { pidNamespace } from "../../../worker-runner/pid-namespace.ts";
import { findControlGroups } from "../../../worker-runner/sandbox/cgroup-parents.ts";

const MODULE = resolve(import.meta.dirname, "../../../worker-runner/sandbox/cgroup-parents.ts");
/** Above every process id that Linux gives (PID_MAX_LIMIT). */
const NOBODY = 2 ** 22 + 1;

it("removes the groups of a runner that is gone, and leaves those of a living one and of another pid namespace", () => {
  const groups = findControlGroups();
  if (!groups) {
    expect(groups).toBeNull();
    return;
  }
  const parent = dirname(groups.memory);
  const left = join(parent, `pyrepl3-${pidNamespace()}-${NOBODY}`);
  const living = join(parent, `pyrepl3-${pidNamespace()}-${process.ppid}`);
  const elsewhere = join(parent, `pyrepl3-1-${NOBODY}`);
  mkdirSync(join(left, "session"), { recursive: true });
  mkdirSync(living, { recursive: true });
  mkdirSync(elsewhere, { recursive: true });
  const ask = `(await import(${JSON.stringify(MODULE)})).findControlGroups()`;
  execFileSync(process.execPath, ["--input-type=module", "--eval", ask]);
  expect(existsSync(left)).toBe(false);
  expect([existsSync(living), existsSync(elsewhere)]).toEqual([true, true]);
  rmdirSync(living);
  rmdirSync(elsewhere);
});
