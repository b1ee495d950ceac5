/** Owns the proof that the same attacks are contained where the runner is an ordinary user, who has no control groups. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmdirSync } from "node:fs";
import { resolve } from "node:path";
import { createInterface } from "node:readline";
import { it } from "vitest";
import { inDefaultProfile } from "../support/default-profile.ts";
import { findGrades } from "./grade.ts";
import type { Report } from "./run-catalogue.ts";

const TIMEOUT_MS = 600_000;
/** Limits on processes count by user, so a second run at the same time needs a user of its own. */
const ORDINARY_USER = 200_000 + (process.pid % 100_000);
const REPOSITORY = resolve(import.meta.dirname, "../..");

/** The repository as a user sees it who may not pass through the folders above it: mounted where everybody gets to. */
function asOrdinaryUser(mountPoint: string, command: readonly string[]): [string, string[]] {
  const script = ['mount --bind "$1" "$2"', 'cd "$2"', "shift 2", 'exec "$@"'].join(" && ");
  const args = ["--mount", "--propagation", "private", "/bin/sh", "-c", script, "sh"];
  return ["unshare", [...args, REPOSITORY, mountPoint, ...command]];
}

const CATALOGUE = ["node_modules/.bin/node", "test/attacks/run-catalogue.ts"];
const ids = ["--reuid", `${ORDINARY_USER}`, "--regid", `${ORDINARY_USER}`, "--clear-groups", "--inh-caps=-all"];

/** How the attacks run in each kind of sandbox; containers by default allow Landlock and not the other. */
const COMMANDS = {
  bwrap: () => ["setpriv", ...ids, ...CATALOGUE],
  landlock: () => inDefaultProfile(ORDINARY_USER, CATALOGUE),
};

it.each((await findGrades()).map(({ kind }) => kind))(
  "contains every attack as an ordinary user, by %s",
  {
    timeout: TIMEOUT_MS,
  },
  async (kind) => {
    if (process.getuid?.() !== 0) return; // The other files of this folder have run as one.
    const mountPoint = mkdtempSync("/tmp/pyrepl3-ordinary-");
    const [command, args] = asOrdinaryUser(mountPoint, COMMANDS[kind]());
    const environment = {
      PATH: process.env.PATH ?? "",
      HOME: "/nonexistent",
      // The first Python on the path may be below a folder that this user may not pass.
      PYTHON: "/usr/bin/python3",
      ATTACK_GRADES: kind,
    };
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
  },
);
