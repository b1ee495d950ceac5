// Reads how much processor time each part of the service has taken: a figure that a busy machine hardly changes.
import { readFileSync } from "node:fs";
import { commandOf, familyOf } from "../support/processes.ts";

const ticksPerSecond = 100;

/** Milliseconds of processor time, ended children included. */
export interface CpuTime {
  readonly edge: number;
  readonly runner: number;
  readonly interpreter: number;
}

function partOf(pid: number): keyof CpuTime | null {
  const command = commandOf(pid);
  if (command.includes("worker-runner/main.ts")) return "runner";
  if (command.includes("start.ts")) return null;
  return /(^|\/)workerd( |$)/.test(command) ? "edge" : "interpreter";
}

function millisecondsOf(pid: number, withChildren: boolean): number {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    const [user, system, childUser, childSystem] = stat
      .slice(stat.lastIndexOf(")") + 2)
      .split(" ")
      .slice(11, 15)
      .map(Number) as [number, number, number, number];
    return ((user + system + (withChildren ? childUser + childSystem : 0)) * 1000) / ticksPerSecond;
  } catch (error) {
    if (error instanceof Error && "code" in error && (error.code === "ENOENT" || error.code === "ESRCH")) return 0;
    throw error;
  }
}

/** What the service below `servicePid` has taken so far. */
export function cpuTime(servicePid: number): CpuTime {
  const sum = { edge: 0, runner: 0, interpreter: 0 };
  for (const pid of familyOf(servicePid)) {
    const part = partOf(pid);
    // A runner's ended children are sandboxes that other sessions had.
    if (part) sum[part] += millisecondsOf(pid, part === "interpreter");
  }
  return sum;
}
