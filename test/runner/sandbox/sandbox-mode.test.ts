/** Owns the proof that a runner isolates, refuses or warns, and tells the truth about it. */
import { expect, it } from "vitest";
import { RunnerCapabilities } from "../../../src/protocol/capabilities.ts";
import { findControlGroups } from "../../../worker-runner/sandbox/cgroup-parents.ts";
import { explainFailure } from "../../../worker-runner/sandbox/diagnosis.ts";
import { chooseSandbox, SandboxUnavailable } from "../../../worker-runner/sandbox/sandbox-mode.ts";
import { describeCapabilities } from "../../../worker-runner/service/capabilities.ts";
import { testLimits, testSandbox } from "./kept-keeper.ts";

/** No process starts in so little, so that the trial fails whatever the machine can do. */
const impossible = { ...testSandbox, limits: { ...testLimits, workspaceFiles: 5 } };

it.each(["auto", "bwrap"] as const)(
  "takes bubblewrap for SANDBOX=%s where it works",
  { tags: "bubblewrap" },
  async (mode) => {
    const choice = await chooseSandbox({ mode, isDevelopment: false, sandbox: testSandbox });
    expect(choice).toMatchObject({ kind: "bwrap", isWarning: false });
  },
);

it.each([
  ["auto", false],
  ["bwrap", false],
  ["bwrap", true],
] as const)("refuses SANDBOX=%s where nothing isolates (development: %s)", async (mode, isDevelopment) => {
  const refused = chooseSandbox({ mode, isDevelopment, sandbox: impossible });
  await expect(refused).rejects.toThrow(SandboxUnavailable);
  await expect(refused).rejects.toThrow(/does not start.*Cause: .*No space left.*SANDBOX=none/s);
});

it("goes without in development, and warns", async () => {
  const choice = await chooseSandbox({ mode: "auto", isDevelopment: true, sandbox: impossible });
  expect(choice).toMatchObject({ kind: "none", isWarning: true });
  expect(choice.detail).toMatch(/all the rights of the runner's own user/);
});

it("calls a missing Python a missing Python", async () => {
  const sandbox = { ...testSandbox, python: "no-such-python" };
  await expect(chooseSandbox({ mode: "auto", isDevelopment: true, sandbox })).rejects.toThrow(/no such command/);
});

it("describes what is enforced in a sandbox, and by what", { tags: "bubblewrap" }, async () => {
  const choice = await chooseSandbox({ mode: "auto", isDevelopment: false, sandbox: testSandbox });
  const facts = {
    version: "1.2.3",
    choice,
    sandbox: testSandbox,
    hasPackages: false,
    runnerLimits: { queued_executions: 64 },
  };
  const told = RunnerCapabilities.parse(await describeCapabilities(facts));
  expect(told.sandbox).toMatchObject({ kind: "bwrap", isolated: true, network: false, seccomp: true });
  expect(told.limits.queued_executions).toEqual({ value: 64, enforced: true, mechanism: "runner" });
  expect(told.limits.workspace_bytes).toEqual({
    value: testLimits.workspaceBytes,
    enforced: true,
    mechanism: "tmpfs",
  });
  const mechanism = findControlGroups()?.mechanism ?? "rlimit-per-process";
  expect(told.limits.memory_bytes).toEqual({ value: testLimits.memoryBytes, enforced: true, mechanism });
});

it("does not claim without a sandbox what only a sandbox enforces", async () => {
  const choice = await chooseSandbox({ mode: "none", isDevelopment: false, sandbox: testSandbox });
  const told = await describeCapabilities({
    version: "1.2.3",
    choice,
    sandbox: testSandbox,
    hasPackages: true,
    runnerLimits: {},
  });
  expect(told.sandbox).toMatchObject({ kind: "none", isolated: false, network: true, seccomp: false });
  for (const name of ["processes", "workspace_bytes", "workspace_files"]) {
    expect(told.limits[name]).toMatchObject({ enforced: false, mechanism: "none" });
  }
});

it.each([
  ["/bin/sh: 1: exec: bwrap: not found", /^bubblewrap is not installed: apt-get install bubblewrap$/],
  ["setpriv: failed to execute bwrap: No such file or directory", /apt-get install bubblewrap$/],
  ["The sandbox does not start: no unshare here", /apt-get install util-linux/],
  ["Python ended (SIGKILL): something else", /^Python ended/],
])("explains %s", (complaint, remedy) => {
  expect(explainFailure(new Error(complaint))).toMatch(remedy);
});
