/** Holds that a runner that is killed while sandboxes start leaves no process behind. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it, onTestFinished } from "vitest";
import { commandOf } from "../../support/processes.ts";
import { chooseSeed, randomFrom } from "../random-numbers.ts";

const KILLS = 200;
const AT_A_TIME = 2;
/** From the first start of a sandbox; most kills then come while one starts. */
const LATEST_KILL_MS = 250;

/** Processes with the mark of one of these runners in their environment, or started by one of them to sweep. */
function leftBehind(runners: ReadonlySet<number>): string[] {
  return readdirSync("/proc").flatMap((entry) => {
    if (!/^\d+$/.test(entry)) return [];
    try {
      const told = readFileSync(`/proc/${entry}/environ`, "utf8") + readFileSync(`/proc/${entry}/cmdline`, "utf8");
      const owner = Number(/PYREPL_RUNNER=(\d+)-/.exec(told)?.[1] ?? 0);
      return runners.has(owner) ? [`${entry} ${commandOf(Number(entry)).slice(0, 100)}`] : [];
    } catch {
      return []; // It ended meanwhile.
    }
  });
}

it(`leaves nothing a few seconds later, killed at ${KILLS} random moments`, { timeout: 900_000 }, async () => {
  const folder = mkdtempSync(join(tmpdir(), "pyrepl3-killed-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const random = randomFrom(chooseSeed());
  const runners = new Set<number>();
  const killOne = async () => {
    const runner = spawn(process.execPath, ["test/support/sandbox-starter.ts"], {
      env: { ...process.env, TMPDIR: folder },
      stdio: ["ignore", "pipe", "inherit"],
    });
    const ended = once(runner, "exit");
    await once(runner.stdout, "data");
    await new Promise((resolve) => setTimeout(resolve, random(LATEST_KILL_MS)));
    runners.add(runner.pid ?? 0);
    runner.kill("SIGKILL");
    expect((await ended)[1]).toBe("SIGKILL");
  };
  let left = KILLS;
  await Promise.all(
    Array.from({ length: AT_A_TIME }, async () => {
      while (left-- > 0) await killOne();
    }),
  );
  expect(runners.size).toBeGreaterThan(KILLS / 2);
  await expect.poll(() => leftBehind(runners), { timeout: 60_000, interval: 300 }).toEqual([]);
});
