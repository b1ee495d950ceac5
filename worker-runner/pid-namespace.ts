/** Owns the name of this process's pid namespace: a process id is meaningful only within it. */
import { readlinkSync } from "node:fs";

/** The namespace's number (namespaces(7)), or `0` where `/proc` does not tell. */
export function pidNamespace(): string {
  try {
    return /\d+/.exec(readlinkSync("/proc/self/ns/pid"))?.[0] ?? "0";
  } catch {
    return "0";
  }
}
