/** Reads from /proc a process and all its descendants. */
import { readdirSync, readFileSync } from "node:fs";
import type { SandboxMemory } from "./sandbox-contract.ts";

const PAGE_BYTES = 4096;

/** Ids of every living descendant of a process, the nearest first; empty if the process has ended. */
export function descendantsOf(pid: number): number[] {
  const children = childrenOf(pid);
  return [...children, ...children.flatMap(descendantsOf)];
}

/** Resident bytes of a process and all below it, pages that they share counted for each, and of the largest of them. */
export function residentBytesOf(pid: number): { all: number; largest: number } {
  const pages = [pid, ...descendantsOf(pid)].map((each) => Number(readOr(`/proc/${each}/statm`, "0 0").split(" ")[1]));
  const all = pages.reduce((sum, count) => sum + count, 0);
  return { all: all * PAGE_BYTES, largest: Math.max(...pages) * PAGE_BYTES };
}

/** The memory of a sandbox without a control group: each of its processes may have as much as the limit says. */
export function memoryWithoutGroup(pid: number, limitBytes: number): SandboxMemory {
  const { all, largest } = pid === 0 ? { all: 0, largest: 0 } : residentBytesOf(pid);
  return { residentBytes: all, limitedBytes: largest, limitBytes, oomKills: null };
}

/** Ends a process and all below it, also while they start more; zombies are left to their parents. */
export function killTree(pid: number): void {
  // A stopped parent starts no more, and reaps none, so that ids stay what they are.
  sendSignal(pid, "SIGSTOP");
  for (;;) {
    const living = descendantsOf(pid).filter(isRunning);
    if (living.length === 0) break;
    for (const each of living) sendSignal(each, "SIGKILL");
  }
  sendSignal(pid, "SIGKILL");
}

/** Ids of the processes that one has started and not yet reaped. */
export function childrenOf(pid: number): number[] {
  // Each thread has its own children.
  let threads: string[];
  try {
    threads = readdirSync(`/proc/${pid}/task`);
  } catch {
    return []; // It ended meanwhile.
  }
  return threads.flatMap((thread) =>
    readOr(`/proc/${pid}/task/${thread}/children`, "").split(" ").filter(Boolean).map(Number),
  );
}

/** Whether a process still runs. A zombie, which has ended and waits for its parent, does not. */
export function isRunning(pid: number): boolean {
  const state = readOr(`/proc/${pid}/stat`, "").split(") ").pop()?.[0];
  return state !== undefined && state !== "Z" && state !== "X";
}

function readOr(path: string, otherwise: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return otherwise; // It ended meanwhile.
  }
}

/** Sends a signal, to nobody where the process has ended. */
export function sendSignal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch (error) {
    if (!(error instanceof Error && "code" in error && error.code === "ESRCH")) throw error;
  }
}
