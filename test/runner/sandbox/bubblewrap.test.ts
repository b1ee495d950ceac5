/** Owns the proof that a sandbox starts with any Python, says how it ended, and leaves nothing. */
// @module-tag bubblewrap
import { execFileSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, it } from "vitest";
import { findControlGroups } from "../../../worker-runner/sandbox/cgroup-parents.ts";
import { childrenOf } from "../../../worker-runner/sandbox/process-tree.ts";
import { keepKeeper, testLimits } from "./kept-keeper.ts";

const directory = mkdtempSync(join(tmpdir(), "pyrepl3-sandbox-test-"));
afterAll(() => rmSync(directory, { recursive: true }));

function statusOf(pid: number): string {
  return readFileSync(`/proc/${pid}/status`, "utf8");
}

it("runs the keeper as pid 1 under another user, without a capability, behind a filter", async () => {
  const { sandbox, hello, end } = await keepKeeper();
  expect(await hello).toMatchObject({ type: "hello", role: "keeper", token: "token", pid: 1 });
  expect(sandbox.isPidOne).toBe(true);
  const status = statusOf(sandbox.pid);
  expect(status).toMatch(/^CapEff:\t0{16}$/m);
  expect(status).toMatch(/^CapBnd:\t0{16}$/m);
  expect(status).toMatch(/^NoNewPrivs:\t1$/m);
  expect(status).toMatch(/^Seccomp:\t2$/m);
  if (process.getuid?.() === 0) expect(Number(/^Uid:\t(\d+)/m.exec(status)?.[1])).toBeGreaterThan(20_000);
  await end();
});

it("runs a venv in a folder that nobody else may enter", async () => {
  const venv = join(directory, "private", "venv");
  execFileSync("/usr/bin/python3", ["-m", "venv", "--without-pip", venv]);
  execFileSync("chmod", ["700", join(directory, "private")]);
  const { hello, end } = await keepKeeper({ python: join(venv, "bin", "python") });
  expect(await hello).toMatchObject({ role: "keeper" });
  await end();
});

it("runs the Python that the shell finds, wherever it is installed", async () => {
  const { hello, end } = await keepKeeper({ python: "python3" });
  expect(await hello).toMatchObject({ role: "keeper" });
  await end();
});

it("sets the limits of every process", async () => {
  const { sandbox, hello, end } = await keepKeeper();
  await hello;
  const limits = readFileSync(`/proc/${sandbox.pid}/limits`, "utf8");
  expect(limits).toMatch(new RegExp(`Max processes +${testLimits.processes} +${testLimits.processes}`));
  expect(limits).toMatch(new RegExp(`Max open files +${testLimits.openFiles} `));
  expect(limits).toMatch(new RegExp(`Max file size +${testLimits.workspaceBytes} `));
  expect(limits).toMatch(/Max core file size +1 +1 /);
  await end();
});

it("is ended with everything in it, by its own end or by kill, and leaves no process, group or file", async () => {
  const before = childrenOf(process.pid);
  const killed = await keepKeeper();
  await killed.hello;
  await Promise.all([killed.sandbox.kill(), killed.sandbox.kill()]);
  expect(await killed.sandbox.exited).toEqual({ code: null, signal: "SIGKILL" });
  const left = await keepKeeper();
  (await left.connection).destroy();
  expect(await left.sandbox.exited).toEqual({ code: 0, signal: null });
  await left.sandbox.kill();
  expect(childrenOf(process.pid)).toEqual(before);
  const groups = findControlGroups();
  if (groups) expect(existsSync(groups.memory)).toBe(false);
  await Promise.all([killed.end(), left.end()]);
});

it("tells the memory of a sandbox, also when it is over", async () => {
  const { sandbox, hello, end } = await keepKeeper();
  await hello;
  const { residentBytes, limitBytes } = await sandbox.memoryStatus();
  expect(residentBytes).toBeGreaterThan(1_000_000);
  expect(limitBytes).toBe(testLimits.memoryBytes);
  await end();
  expect((await sandbox.memoryStatus()).limitBytes).toBe(testLimits.memoryBytes);
});

it("says why it does not start, and leaves nothing", async () => {
  const before = childrenOf(process.pid);
  await expect(keepKeeper({ python: "no-such-python" })).rejects.toThrow("PYTHON=no-such-python does not run");
  if (findControlGroups()) {
    await expect(keepKeeper({ id: "a/../../b" })).rejects.toThrow("not a name for a control group");
  }
  await expect(keepKeeper({ limits: { ...testLimits, workspaceFiles: 5 } })).rejects.toThrow(
    /does not start: .*No space/s,
  );
  expect(childrenOf(process.pid)).toEqual(before);
});

it("shows the operator's variables to user code, and none of the runner's", async () => {
  const { sandbox, hello, end } = await keepKeeper({ env: { GREETING: "it's" } });
  await hello;
  const variables = process.getuid?.() === 0 ? readFileSync(`/proc/${sandbox.pid}/environ`, "utf8").split("\0") : null;
  if (variables) {
    const names = variables.filter(Boolean).map((variable) => variable.split("=")[0]);
    const own = [
      "HOME",
      "LANG",
      "PATH",
      "TMPDIR",
      "GREETING",
      "PYREPL_CHANNEL",
      "PYREPL_PRELOAD",
      "PYREPL_PROGRAM",
      "PYREPL_WORKSPACE",
      "PWD",
    ];
    expect(names.filter((name) => !own.includes(name ?? ""))).toEqual([]);
    expect(variables).toContain("GREETING=it's");
  }
  await end();
});
