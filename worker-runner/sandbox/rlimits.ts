/** Owns the resource limits of a session's processes, as arguments of prlimit(1). */
import { release } from "node:os";
import type { SandboxLimits } from "./sandbox-contract.ts";

/** The first Linux that counts a user's processes in each user namespace apart. */
const [COUNTING_MAJOR, COUNTING_MINOR] = [5, 14];

/**
 * Whether a limit on processes can be a session's own. It is set inside the sandbox's user namespace; older kernels count together
 * whatever a user runs anywhere, which is fair only where each session has a user of its own.
 */
export function countsProcessesApart(hasOwnUser: boolean): boolean {
  const [major = 0, minor = 0] = release().split(".").map(Number);
  return hasOwnUser || major > COUNTING_MAJOR || (major === COUNTING_MAJOR && minor >= COUNTING_MINOR);
}

/**
 * A crash is the session's affair. With a limit of zero the kernel would still start a crash handler of the host's (apport,
 * systemd-coredump) as root; a limit of one byte tells it not to (core(5)). The filter keeps user code from changing it.
 */
export const NO_CRASH_HANDLER = "--core=1:1";

/** Descriptors above what user code gets by default, so that a snapshot can be taken while it holds all of those. */
const SPARE_DESCRIPTORS = 32;

/** @param isMemoryCounted whether a control group bounds the session as a whole; otherwise each process gets a bound of its own. */
export function rlimitArguments(limits: SandboxLimits, isMemoryCounted: boolean, canCountProcesses: boolean): string[] {
  const bounds: Record<string, number> = {
    fsize: limits.workspaceBytes,
    msgqueue: 0,
    rtprio: 0,
    ...(canCountProcesses ? { nproc: limits.processes } : {}),
    ...(isMemoryCounted ? {} : { as: limits.memoryBytes }),
  };
  return [
    `--nofile=${limits.openFiles}:${limits.openFiles + SPARE_DESCRIPTORS}`,
    ...Object.entries(bounds).map(([name, value]) => `--${name}=${value}:${value}`),
  ];
}
