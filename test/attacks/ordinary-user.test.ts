/** Owns the proof that the same attacks are contained where the runner is an ordinary user, who has no control groups. */
// @module-tag bubblewrap
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmdirSync } from "node:fs";
import { resolve } from "node:path";
import { createInterface } from "node:readline";
import { it } from "vitest";
import { testPython } from "../../scripts/python-tests.ts";
import type { Report } from "./run-catalogue.ts";

const TIMEOUT_MS = 600_000;
const ORDINARY_USER = 54_321;
const REPOSITORY = resolve(import.meta.dirname, "../..");

/** The repository as a user sees it who may not pass through the folders above it: mounted where everybody gets to. */
function asOrdinaryUser(mountPoint: string): [string, string[]] {
  const script = [
    'mount --bind "$1" "$2"',
    'cd "$2"',
    'exec setpriv --reuid="$3" --regid="$3" --clear-groups --inh-caps=-all node_modules/.bin/node test/attacks/run-catalogue.ts',
  ].join(" && ");
  const args = ["--mount", "--propagation", "private", "/bin/sh", "-c", script, "sh"];
  return ["unshare", [...args, REPOSITORY, mountPoint, `${ORDINARY_USER}`]];
}

it("contains every attack as an ordinary user", { timeout: TIMEOUT_MS }, async () => {
  if (process.getuid?.() !== 0) return; // The other files of this folder have run as one.
  const mountPoint = mkdtempSync("/tmp/pyrepl3-ordinary-");
  const [command, args] = asOrdinaryUser(mountPoint);
  const environment = { PATH: process.env.PATH ?? "", HOME: "/nonexistent", PYTHON: testPython() };
  const child = spawn(command, args, { env: environment, stdio: ["ignore", "pipe", "inherit"] });
  const reports: Report[] = [];
  createInterface(child.stdout).on("line", (line) => reports.push(JSON.parse(line)));
  const [code] = await once(child, "close");
  rmdirSync(mountPoint);
  assert.deepEqual(
    reports.filter(({ failure }) => failure !== null),
    [],
  );
  assert.equal(code, 0);
  assert.ok(reports.length > 40, `${reports.length}`);
});
