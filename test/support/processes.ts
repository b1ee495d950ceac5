/** Looks into the process table: what a process and its descendants are, and how much memory they hold. */
import { readdirSync, readFileSync } from "node:fs";

/** Parent of each process, from /proc. */
function parents(): Map<number, number> {
  const result = new Map<number, number>();
  for (const entry of readdirSync("/proc")) {
    const pid = Number(entry);
    if (!Number.isInteger(pid)) continue;
    try {
      const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
      const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
      if (fields[0] !== "Z") result.set(pid, Number(fields[1]));
    } catch {
      // The process ended between the two reads.
    }
  }
  return result;
}

/** A process and everything below it, itself first. */
export function familyOf(root: number): number[] {
  const parentOf = parents();
  const family = [root];
  for (const member of family) {
    for (const [pid, parent] of parentOf) if (parent === member) family.push(pid);
  }
  return family;
}

export function commandOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "utf8").replaceAll("\0", " ").trim();
  } catch {
    return "";
  }
}

/** Resident bytes of one process; 0 where it is gone. */
export function residentBytes(pid: number): number {
  try {
    const match = /^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"));
    return Number(match?.[1] ?? 0) * 1024;
  } catch {
    return 0;
  }
}

export function isAlive(pid: number): boolean {
  return parents().has(pid);
}

/** Those of the product's processes whose command line has `needle`. */
export function findProcesses(root: number, needle: string): number[] {
  const parentOf = parents();
  return familyOf(root).filter((pid) => {
    const command = commandOf(pid);
    // A child between fork and exec still has the command line of its parent.
    return command.includes(needle) && command !== commandOf(parentOf.get(pid) ?? 0);
  });
}

/** Watches resident memory of each given process; `peakGrowth` is the largest growth of any one since the start. */
export function watchMemory(pids: number[], everyMs = 50): { stop(): { peakGrowth: number; command: string } } {
  const start = new Map(pids.map((pid) => [pid, residentBytes(pid)]));
  let worst = { peakGrowth: 0, command: "" };
  const look = () => {
    for (const [pid, before] of start) {
      const growth = residentBytes(pid) - before;
      if (growth > worst.peakGrowth) worst = { peakGrowth: growth, command: commandOf(pid).slice(0, 60) };
    }
  };
  const timer = setInterval(look, everyMs);
  return {
    stop() {
      look();
      clearInterval(timer);
      return worst;
    },
  };
}
