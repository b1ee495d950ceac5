import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it } from "vitest";
import { commandOf, familyOf, isAlive } from "../support/processes.ts";
import { RunnerProgram } from "./runner-program.ts";

it.each([
  [{ RUNNER_TOKEN: "" }, /RUNNER_TOKEN is required/],
  [{ RUNNER_PORT: "1e9", SANDBOX: "docker" }, /RUNNER_PORT .*SANDBOX must be auto, bwrap, landlock or none/],
  [{ PYTHON: "no-such-python" }, /PYTHON=no-such-python does not run/],
])("says what is wrong with %o and ends with 1", async (variables, message) => {
  const runner = await RunnerProgram.start(variables as Record<string, string>);
  expect(await runner.ended).toBe(1);
  expect(runner.printed).toMatch(message);
  expect(runner.printed).not.toContain("    at ");
});

it("does not start with a Python that is too old", async () => {
  const directory = await mkdtemp(join(tmpdir(), "pyrepl3-test-"));
  const python = join(directory, "python");
  const real = process.env.PYTHON ?? "python3";
  const pretend = `s/"version": "[^"]*"/"version": "3.10.12"/`;
  await writeFile(python, `#!/bin/sh\n${real} "$@" | sed '${pretend}'\n`, { mode: 0o755 });
  const runner = await RunnerProgram.start({ PYTHON: python });
  expect(await runner.ended).toBe(1);
  expect(runner.printed).toContain("is Python 3.10.12, and 3.11 or newer is needed");
  await rm(directory, { recursive: true });
});

it("says that its port is in use", async () => {
  const first = await RunnerProgram.start();
  const second = await RunnerProgram.start({ RUNNER_PORT: new URL(first.url).port });
  expect(await second.ended).toBe(1);
  expect(second.printed).toContain("choose another one by RUNNER_PORT");
});

it.each(["SIGTERM", "SIGINT"] as const)("ends with 0 at %s and leaves no process behind", async (signal) => {
  const runner = await RunnerProgram.start();
  const edge = await runner.link();
  edge.open();
  await edge.reply("opened");
  edge.execute("e1", "import time; time.sleep(60)");
  const family = familyOf(runner.pid);
  expect(family.length).toBeGreaterThan(2);
  runner.child.kill(signal);
  expect(await runner.ended).toBe(0);
  await expect.poll(() => family.filter(isAlive).map(commandOf)).toEqual([]);
  expect(runner.printed).not.toContain("time.sleep");
});

it("ends with its parent, and does not wait for an edge that is gone too", async () => {
  const runner = await RunnerProgram.start({ EDGE_URL: "http://127.0.0.1:9999", SHUTDOWN_GRACE_SECONDS: "20" }, "ipc");
  const edge = await runner.link();
  edge.open();
  await edge.reply("opened");
  const family = familyOf(runner.pid);
  const askedAt = performance.now();
  runner.child.disconnect();
  expect(await runner.ended).toBe(0);
  expect(performance.now() - askedAt).toBeLessThan(19_000);
  await expect.poll(() => family.filter(isAlive).map(commandOf)).toEqual([]);
});
