/** Holds that `npm start` and `npm run runner` end with npm, however npm ends, and leave no process behind. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it, onTestFinished, vi } from "vitest";
import { commandOf, familyOf, isAlive } from "../support/processes.ts";

vi.setConfig({ testTimeout: 150_000 });

const ENDS_WITHIN_MS = 30_000;

interface Script {
  npm: ChildProcess;
  family: number[];
}

/** Starts an npm script on free ports, and waits until it prints `ready`. */
async function startScript(name: string, ready: string): Promise<Script> {
  const stateDir = await mkdtemp(join(tmpdir(), "pyrepl3-npm-"));
  const npm = spawn("npm", ["run", name], {
    env: {
      ...process.env,
      PORT: "0",
      RUNNER_PORT: "0",
      STATE_DIR: stateDir,
      POOL_MIN_IDLE: "1",
      RUNNER_TOKEN: "a-secret-of-sixteen-or-more",
    },
    stdio: ["ignore", "pipe", "pipe"],
  });
  onTestFinished(async () => {
    npm.kill("SIGKILL");
    await rm(stateDir, { recursive: true, force: true });
  });
  let printed = "";
  await new Promise<void>((resolve, reject) => {
    const collect = (text: Buffer) => {
      printed += text.toString();
      if (printed.includes(ready)) resolve();
    };
    npm.stdout?.on("data", collect);
    npm.stderr?.on("data", collect);
    npm.once("exit", () => reject(new Error(`npm ended:\n${printed}`)));
  });
  return { npm, family: familyOf(npm.pid ?? 0) };
}

it.each([
  ["runner", "listening", "SIGTERM"],
  ["runner", "listening", "SIGKILL"],
  ["start", "PyREPL3 is ready", "SIGTERM"],
  ["start", "PyREPL3 is ready", "SIGKILL"],
] as const)("npm run %s ends with npm (%s, %s)", async (name, ready, signal) => {
  const { npm, family } = await startScript(name, ready);
  expect(family.length).toBeGreaterThan(2);
  const ended = once(npm, "exit");
  npm.kill(signal);
  await ended;
  await expect.poll(() => family.filter(isAlive).map(commandOf), { timeout: ENDS_WITHIN_MS }).toEqual([]);
});
