// Reads what each part of the service has cost so far: page faults, calls that read or write, and processor time.
import { readFileSync } from "node:fs";
import { commandOf, familyOf } from "./processes.ts";

const ticksPerSecond = 100;

const parts = ["edge", "runner", "interpreter"] as const;
export type Part = (typeof parts)[number];

/** Counts of one part, ended children included. */
export interface Counts {
  readonly faults: number;
  /** System calls that read or wrote, as /proc/PID/io counts them. */
  readonly readsAndWrites: number;
  /** Bytes that were to be written to disk. */
  readonly writtenBytes: number;
  readonly cpuMs: number;
}

export type Counters = Readonly<Record<Part, Counts>>;

const nothing: Counts = { faults: 0, readsAndWrites: 0, writtenBytes: 0, cpuMs: 0 };

export function partOf(pid: number): Part | null {
  const command = commandOf(pid);
  if (command.includes("worker-runner/main.ts")) return "runner";
  if (command.includes("start.ts")) return null;
  return /(^|\/)workerd( |$)/.test(command) ? "edge" : "interpreter";
}

function readOrNull(path: string): string | null {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    if (error instanceof Error && "code" in error && (error.code === "ENOENT" || error.code === "ESRCH")) return null;
    throw error;
  }
}

/** @param withChildren a runner's ended children are sandboxes of other sessions, so they do not count as its. */
function countsOf(pid: number, withChildren: boolean): Counts {
  const stat = readOrNull(`/proc/${pid}/stat`);
  const io = readOrNull(`/proc/${pid}/io`);
  if (stat === null || io === null) return nothing;
  const fields = stat
    .slice(stat.lastIndexOf(")") + 2)
    .split(" ")
    .map(Number);
  const at = (index: number) => fields[index] ?? 0;
  const ticks = at(11) + at(12) + (withChildren ? at(13) + at(14) : 0);
  return {
    faults: at(7) + (withChildren ? at(8) : 0),
    readsAndWrites: Number(/^syscr: (\d+)$/m.exec(io)?.[1] ?? 0) + Number(/^syscw: (\d+)$/m.exec(io)?.[1] ?? 0),
    writtenBytes: Number(/^write_bytes: (\d+)$/m.exec(io)?.[1] ?? 0),
    cpuMs: (ticks * 1000) / ticksPerSecond,
  };
}

function combine(one: Counts, other: Counts, sign: 1 | -1): Counts {
  return {
    faults: one.faults + sign * other.faults,
    readsAndWrites: one.readsAndWrites + sign * other.readsAndWrites,
    writtenBytes: one.writtenBytes + sign * other.writtenBytes,
    cpuMs: one.cpuMs + sign * other.cpuMs,
  };
}

/** What the service below `servicePid` has cost so far. */
export function readCounters(servicePid: number): Counters {
  const sums: Record<Part, Counts> = { edge: nothing, runner: nothing, interpreter: nothing };
  for (const pid of familyOf(servicePid)) {
    const part = partOf(pid);
    if (part !== null) sums[part] = combine(sums[part], countsOf(pid, part === "interpreter"), 1);
  }
  return sums;
}

/** What `count` repetitions between two readings cost, each. */
export function costEach(before: Counters, after: Counters, count: number): Record<Part, Counts> {
  const each = (part: Part): Counts => {
    const sum = combine(after[part], before[part], -1);
    return {
      faults: sum.faults / count,
      readsAndWrites: sum.readsAndWrites / count,
      writtenBytes: sum.writtenBytes / count,
      cpuMs: sum.cpuMs / count,
    };
  };
  return { edge: each("edge"), runner: each("runner"), interpreter: each("interpreter") };
}

/** How often the main threads of these processes have waited for something and were woken. */
export function countWakings(pids: readonly number[]): number {
  return pids.reduce((sum, pid) => {
    const status = readOrNull(`/proc/${pid}/status`) ?? "";
    return sum + Number(/^voluntary_ctxt_switches:\s+(\d+)$/m.exec(status)?.[1] ?? 0);
  }, 0);
}
