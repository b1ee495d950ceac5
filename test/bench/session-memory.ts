// Adds up the memory of the sandboxed processes below the service, each shared page counted once in all (PSS).
import { readFileSync } from "node:fs";
import { commandOf, familyOf } from "../support/processes.ts";

const ownPrograms = /(^|\/)(node|workerd|esbuild|sh|npm)( |$)|workerd/;

function proportionalBytes(pid: number): number {
  try {
    const match = /^Pss:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, "utf8"));
    return Number(match?.[1] ?? 0) * 1024;
  } catch (error) {
    // A process that ended since it was listed holds nothing.
    if (error instanceof Error && "code" in error && (error.code === "ENOENT" || error.code === "ESRCH")) return 0;
    throw error;
  }
}

/** Bytes of every sandbox below `servicePid`, and how many processes they are. */
export function sandboxMemory(servicePid: number): { bytes: number; processes: number } {
  const sandboxed = familyOf(servicePid).filter((pid) => !ownPrograms.test(commandOf(pid).split(" ")[0] ?? ""));
  return { bytes: sandboxed.reduce((sum, pid) => sum + proportionalBytes(pid), 0), processes: sandboxed.length };
}
