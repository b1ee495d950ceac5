/** Owns the user ids of sandboxes if the runner is root: each session has its own. */
import { randomInt } from "node:crypto";
import { readFileSync } from "node:fs";

/** Above every id that distributions, containers and systemd hand out (https://systemd.io/UIDS-GIDS). */
const WIDE_RANGE = { first: 1_879_048_192, count: 2 ** 27 };
/** Inside the 65,536 ids of a container that is itself in a user namespace. */
const NARROW_RANGE = { first: 30_000, count: 30_000 };

const taken = new Set<number>();

/** Whether sandboxes run as another user than the runner. */
export function runsAsRoot(): boolean {
  return process.getuid?.() === 0;
}

/**
 * Takes a user id for one session. It is random, so that runners on one machine need not agree, and files or signals of one
 * session never belong to the next.
 */
export function takeSessionUid(): number {
  const range = isMapped(WIDE_RANGE) ? WIDE_RANGE : NARROW_RANGE;
  for (;;) {
    const uid = range.first + randomInt(range.count);
    if (taken.has(uid)) continue;
    taken.add(uid);
    return uid;
  }
}

export function freeSessionUid(uid: number): void {
  taken.delete(uid);
}

function isMapped(range: { first: number; count: number }): boolean {
  return readFileSync("/proc/self/uid_map", "utf8")
    .trim()
    .split("\n")
    .map((line) => line.trim().split(/\s+/).map(Number))
    .some(([first = 0, , count = 0]) => first <= range.first && first + count >= range.first + range.count);
}
