/** Kills every process of one session's own user, if its warden was killed and could not do it. */
import { readdirSync, readFileSync } from "node:fs";
import { isRunning, sendSignal } from "../process-tree.ts";

/** Goes on while they start more; each pass kills all that there are. */
export function killUser(uid: number): void {
  for (;;) {
    const living = processesOf(uid).filter(isRunning);
    if (living.length === 0) return;
    for (const pid of living) sendSignal(pid, "SIGKILL");
  }
}

function processesOf(uid: number): number[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => userOf(pid) === uid);
}

function userOf(pid: number): number | null {
  try {
    return Number(/^Uid:\t(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1] ?? -1);
  } catch {
    return null; // It ended meanwhile.
  }
}
