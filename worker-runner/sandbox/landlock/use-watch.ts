/**
 * Owns when the files and processes of sessions are measured that no tmpfs and no kernel limit of their own bounds. Free space and free
 * inodes of the file system, and the number of the machine's threads, tell that somebody uses more. So one timer serves all sessions,
 * and nothing is measured while nobody does.
 */
import { readFile, statfs } from "node:fs/promises";

const LOOK_MS = 250;
/** Something else may free as much as a session writes. */
const MEASURE_ANYWAY_MS = 10_000;
const NOTABLE_BYTES = 1024 * 1024;
const NOTABLE_FILES = 64;
const NOTABLE_THREADS = 32;

interface Watched {
  folder: string;
  measure(): void;
}

const watched = new Set<Watched>();
let timer: NodeJS.Timeout | null = null;
let isLooking = false;
let level = { bytes: Number.POSITIVE_INFINITY, files: Number.POSITIVE_INFINITY, threads: 0 };
let measuredAt = 0;

/** Calls `measure` when the folder, or the number of processes, may have grown. @returns a function that ends that. */
export function watchUse(folder: string, measure: () => void): () => void {
  const entry = { folder, measure };
  watched.add(entry);
  if (timer === null) {
    timer = setInterval(() => void look(), LOOK_MS);
    timer.unref();
  }
  return () => {
    watched.delete(entry);
    if (watched.size > 0 || timer === null) return;
    clearInterval(timer);
    timer = null;
  };
}

async function look(): Promise<void> {
  const [first] = watched;
  if (isLooking || first === undefined) return;
  isLooking = true;
  try {
    const { bavail, bsize, ffree } = await statfs(first.folder);
    const now = { bytes: bavail * bsize, files: ffree, threads: await countThreads() };
    const isDue = performance.now() - measuredAt > MEASURE_ANYWAY_MS;
    const hasGrown =
      level.bytes - now.bytes >= NOTABLE_BYTES ||
      level.files - now.files >= NOTABLE_FILES ||
      now.threads - level.threads >= NOTABLE_THREADS;
    if (isDue || hasGrown) {
      measuredAt = performance.now();
      level = now;
      for (const each of watched) each.measure();
    } else {
      level = {
        bytes: Math.max(level.bytes, now.bytes),
        files: Math.max(level.files, now.files),
        threads: Math.min(level.threads, now.threads),
      };
    }
  } catch {
    return; // The folder of a session that has just ended.
  } finally {
    isLooking = false;
  }
}

/** Threads of the machine: the number behind the slash in /proc/loadavg (proc(5)). */
async function countThreads(): Promise<number> {
  return Number(/\/(\d+) /.exec(await readFile("/proc/loadavg", "utf8"))?.[1] ?? 0);
}
