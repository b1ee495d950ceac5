/** Owns how many more sessions this machine can take, by the settings and by the free memory. */
import { readFileSync } from "node:fs";
import { freemem } from "node:os";

const MIB = 1024 * 1024;
/** What a session takes at least, with its sandbox and one recovery copy. */
const SESSION_BYTES = 32 * MIB;
/** Kept for the runner itself and for the sessions that are here. */
const RESERVE_BYTES = 256 * MIB;

/** Bytes that the kernel can give without swapping: `MemAvailable` of /proc/meminfo. */
function availableBytes(): number {
  const kibibytes = /^MemAvailable:\s+(\d+) kB$/m.exec(readFileSync("/proc/meminfo", "utf8"))?.[1];
  return kibibytes === undefined ? freemem() : Number(kibibytes) * 1024;
}

/**
 * Sessions that the runner can take now.
 *
 * @param byCount how many the settings still allow.
 * @param available bytes of memory that are to be had.
 */
export function freePlaces(byCount: number, available = availableBytes()): number {
  const byMemory = Math.floor((available - RESERVE_BYTES) / SESSION_BYTES);
  return Math.max(0, Math.min(byCount, byMemory));
}
