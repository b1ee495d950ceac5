/** Owns the limits that the kernel keeps per process or user, as arguments of prlimit(1). */
import type { SandboxLimits } from "../sandbox-contract.ts";

/**
 * They are set inside the sandbox's user namespace, where the kernel counts a user's processes apart from all others (Linux 5.14:
 * before, they count together with everything that the runner's user runs).
 *
 * @param isMemoryCounted whether a control group bounds the whole session; otherwise each process gets a bound of its own.
 */
export function rlimitArguments(limits: SandboxLimits, isMemoryCounted: boolean, canCountProcesses: boolean): string[] {
  const bounds: Record<string, number> = {
    core: 0,
    fsize: limits.workspaceBytes,
    msgqueue: 0,
    nofile: limits.openFiles,
    rtprio: 0,
    ...(canCountProcesses ? { nproc: limits.processes } : {}),
    ...(isMemoryCounted ? {} : { as: limits.memoryBytes }),
  };
  return Object.entries(bounds).map(([name, value]) => `--${name}=${value}:${value}`);
}
