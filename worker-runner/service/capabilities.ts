/** Owns the description of this runner: its Python, its isolation, and its limits with the means that enforce them. */
import type { EnforcedLimit, RunnerCapabilities } from "../../src/protocol/capabilities.ts";
import { findControlGroups } from "../sandbox/cgroup-parents.ts";
import { findLandlock } from "../sandbox/landlock/landlock-support.ts";
import { findPythonHome } from "../sandbox/python-home.ts";
import { countsProcessesApart } from "../sandbox/rlimits.ts";
import type { SandboxOptions } from "../sandbox/sandbox-contract.ts";
import type { SandboxChoice, SandboxKind } from "../sandbox/sandbox-mode.ts";
import { runsAsRoot } from "../sandbox/session-uid.ts";

export interface CapabilityFacts {
  /** The version of PyREPL3. */
  version: string;
  choice: SandboxChoice;
  sandbox: Pick<SandboxOptions, "python" | "limits" | "network">;
  /** Whether sessions can install packages. */
  hasPackages: boolean;
  /** What EGRESS_ALLOW names. */
  egressAllow?: readonly string[];
  /** Limits that the runner itself enforces, by name. */
  runnerLimits: Readonly<Record<string, number>>;
}

/** Asks Python and the machine. `choice` has shown already that both work. */
export async function describeCapabilities(facts: CapabilityFacts): Promise<RunnerCapabilities> {
  const { version, choice, sandbox, hasPackages, egressAllow = [], runnerLimits } = facts;
  const python = await findPythonHome(sandbox.python);
  const isIsolated = choice.kind !== "none";
  return {
    version,
    python: { version: python.version, implementation: python.implementation },
    serializer: { name: python.cloudpickle === null ? "source" : "cloudpickle", version: python.cloudpickle },
    sandbox: {
      kind: choice.kind,
      isolated: isIsolated,
      network: !isIsolated || sandbox.network === "on",
      seccomp: isIsolated,
      detail: choice.detail,
    },
    packages: { enabled: hasPackages },
    egress: { enabled: egressAllow.length > 0, allow: [...egressAllow] },
    limits: {
      ...(await limitsOf(choice.kind, sandbox)),
      ...Object.fromEntries(Object.entries(runnerLimits).map(([name, value]) => [name, enforced(value, "runner")])),
    },
  };
}

function limitsOf(
  kind: SandboxKind,
  sandbox: CapabilityFacts["sandbox"],
): Record<string, EnforcedLimit> | Promise<Record<string, EnforcedLimit>> {
  switch (kind) {
    case "bwrap":
      return sandboxLimits(sandbox.limits);
    case "landlock":
      return landlockLimits(sandbox);
    case "none":
      return bareLimits(sandbox.limits);
    default:
      return kind satisfies never;
  }
}

/** Without namespaces, processes are counted by user, and files are on a tmpfs only if the runner may mount one. */
async function landlockLimits({ limits, python }: CapabilityFacts["sandbox"]): Promise<Record<string, EnforcedLimit>> {
  const { canMount } = await findLandlock(python);
  const mechanism = canMount ? "tmpfs" : "measured";
  return {
    ...sandboxLimits(limits),
    processes: runsAsRoot() ? enforced(limits.processes, "rlimit") : enforced(limits.processes, "counted"),
    workspace_bytes: enforced(limits.workspaceBytes, mechanism),
    workspace_files: enforced(limits.workspaceFiles, mechanism),
  };
}

function sandboxLimits(limits: SandboxOptions["limits"]): Record<string, EnforcedLimit> {
  const processes = countsProcessesApart(runsAsRoot());
  return {
    memory_bytes: memoryLimit(limits),
    cpu_share: processorShare(),
    processes: processes ? enforced(limits.processes, "rlimit") : missing(limits.processes),
    open_files: enforced(limits.openFiles, "rlimit"),
    workspace_bytes: enforced(limits.workspaceBytes, "tmpfs"),
    workspace_files: enforced(limits.workspaceFiles, "tmpfs"),
    file_bytes: enforced(limits.workspaceBytes, "rlimit"),
  };
}

/** Without a user namespace, the kernel counts a user's processes on the whole machine, and root's not at all. */
function bareLimits(limits: SandboxOptions["limits"]): Record<string, EnforcedLimit> {
  return {
    memory_bytes: memoryLimit(limits),
    cpu_share: processorShare(),
    processes: missing(limits.processes),
    open_files: enforced(limits.openFiles, "rlimit"),
    workspace_bytes: missing(limits.workspaceBytes),
    workspace_files: missing(limits.workspaceFiles),
    file_bytes: enforced(limits.workspaceBytes, "rlimit"),
  };
}

/** A control group limits the session as a whole. Without one, each process has a limit of its own. */
function memoryLimit(limits: SandboxOptions["limits"]): EnforcedLimit {
  const groups = findControlGroups();
  return enforced(limits.memoryBytes, groups?.mechanism ?? "rlimit-per-process");
}

/** An equal share for each session, however many processes it starts. A lower priority alone protects only the runner. */
function processorShare(): EnforcedLimit {
  const groups = findControlGroups();
  return groups?.cpu ? { value: null, enforced: true, mechanism: groups.mechanism } : missing(null, "nice");
}

function enforced(value: number, mechanism: string): EnforcedLimit {
  return { value, enforced: true, mechanism };
}

function missing(value: number | null, mechanism = "none"): EnforcedLimit {
  return { value, enforced: false, mechanism };
}
