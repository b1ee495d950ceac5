/** Owns the proof that a runner isolates, refuses or warns, and tells the truth about it. */
import { expect, it } from "vitest";
import { RunnerCapabilities } from "../../../src/protocol/capabilities.ts";
import { findControlGroups } from "../../../worker-runner/sandbox/cgroup-parents.ts";
import { explainFailure } from "../../../worker-runner/sandbox/diagnosis.ts";
import { findLandlock } from "../../../worker-runner/sandbox/landlock/landlock-support.ts";
import { chooseSandbox, SandboxUnavailable } from "../../../worker-runner/sandbox/sandbox-mode.ts";
import { runsAsRoot } from "../../../worker-runner/sandbox/session-uid.ts";
import { describeCapabilities } from "../../../worker-runner/service/capabilities.ts";
import { testLimits, testSandbox } from "./kept-keeper.ts";

/** No sandbox has its files on so little. */
const impossible = { ...testSandbox, limits: { ...testLimits, workspaceFiles: 5 } };
/** bubblewrap needs more folders than this on a session's tmpfs, and Landlock does not. */
const onlyWithoutMounts = { ...testSandbox, limits: { ...testLimits, workspaceFiles: 6 } };

it.each(["auto", "bwrap"] as const)(
  "takes bubblewrap for SANDBOX=%s where it works",
  { tags: "bubblewrap" },
  async (mode) => {
    const choice = await chooseSandbox({ mode, sandbox: testSandbox });
    expect(choice).toMatchObject({ kind: "bwrap", isWarning: false, missing: null });
  },
);

it("refuses SANDBOX=bwrap if bubblewrap does not work", async () => {
  const refused = chooseSandbox({ mode: "bwrap", sandbox: impossible });
  await expect(refused).rejects.toThrow(SandboxUnavailable);
  await expect(refused).rejects.toThrow(/does not start.*Cause: .*SANDBOX=none/s);
});

it("takes Landlock for SANDBOX=auto if bubblewrap does not work, and says why", { tags: "landlock" }, async () => {
  const choice = await chooseSandbox({ mode: "auto", sandbox: onlyWithoutMounts });
  expect(choice).toMatchObject({ kind: "landlock", isWarning: false });
  expect(choice.missing).not.toBe(null);
  expect(choice.detail).toMatch(/no process or network namespaces/);
});

it("refuses SANDBOX=auto if nothing isolates, with both causes", async () => {
  const refused = chooseSandbox({ mode: "auto", sandbox: { ...impossible, network: "on" } });
  await expect(refused).rejects.toThrow(/does not start.*Cause: .*Landlock does not work either: .*SANDBOX=none/s);
});

it("takes Landlock if it is asked for, and describes what that enforces", { tags: "landlock" }, async () => {
  const choice = await chooseSandbox({ mode: "landlock", sandbox: testSandbox });
  expect(choice).toMatchObject({ kind: "landlock", missing: null });
  const facts = { version: "1.2.3", choice, sandbox: testSandbox, hasPackages: false, runnerLimits: {} };
  const told = RunnerCapabilities.parse(await describeCapabilities(facts));
  expect(told.sandbox).toMatchObject({ kind: "landlock", isolated: true, network: false, seccomp: true });
  const { canMount } = await findLandlock(testSandbox.python);
  expect(told.limits.workspace_bytes).toMatchObject({ enforced: true, mechanism: canMount ? "tmpfs" : "measured" });
  expect(told.limits.processes).toMatchObject({ enforced: true, mechanism: runsAsRoot() ? "rlimit" : "counted" });
});

for (const [mode, part] of [
  ["bwrap", "bubblewrap"],
  ["landlock", "landlock"],
] as const) {
  it(`takes ${mode} for EGRESS_ALLOW, and says what code reaches`, { tags: part }, async () => {
    const sandbox = { ...testSandbox, network: "proxy" as const };
    const choice = await chooseSandbox({ mode, sandbox });
    expect(choice.kind).toBe(mode);
    const facts = { version: "1.2.3", choice, sandbox, hasPackages: false, runnerLimits: {} };
    const told = await describeCapabilities({ ...facts, egressAllow: ["example.org"] });
    expect(told.egress).toEqual({ enabled: true, allow: ["example.org"] });
    expect(told.sandbox.network).toBe(false);
  });
}

it("calls a missing Python a missing Python", async () => {
  const sandbox = { ...testSandbox, python: "no-such-python" };
  await expect(chooseSandbox({ mode: "auto", sandbox })).rejects.toThrow(/no such command/);
});

it("describes what is enforced in a sandbox, and by what", { tags: "bubblewrap" }, async () => {
  const choice = await chooseSandbox({ mode: "bwrap", sandbox: testSandbox });
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
  const choice = await chooseSandbox({ mode: "none", sandbox: testSandbox });
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
