/**
 * Owns when the files of sessions without a tmpfs are measured. Free space and free inodes of the file system tell that somebody writes,
 * so one timer serves all sessions, and nothing is measured while nobody writes.
 */
import { statfs } from "node:fs/promises";

const LOOK_MS = 250;
/** Something else may free as much as a session writes. */
const MEASURE_ANYWAY_MS = 10_000;
const NOTABLE_BYTES = 1024 * 1024;
const NOTABLE_FILES = 64;

interface Watched {
  folder: string;
  measure(): void;
}

const watched = new Set<Watched>();
let timer: NodeJS.Timeout | null = null;
let isLooking = false;
let level = { bytes: Number.POSITIVE_INFINITY, files: Number.POSITIVE_INFINITY };
let measuredAt = 0;

/** Calls `measure` when the folder may have grown. @returns a function that ends that. */
export function watchFileRoom(folder: string, measure: () => void): () => void {
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
    const now = { bytes: bavail * bsize, files: ffree };
    const isDue = performance.now() - measuredAt > MEASURE_ANYWAY_MS;
    const hasGrown = level.bytes - now.bytes >= NOTABLE_BYTES || level.files - now.files >= NOTABLE_FILES;
    if (isDue || hasGrown) {
      measuredAt = performance.now();
      level = now;
      for (const each of watched) each.measure();
    } else {
      level = { bytes: Math.max(level.bytes, now.bytes), files: Math.max(level.files, now.files) };
    }
  } catch {
    return; // The folder of a session that has just ended.
  } finally {
    isLooking = false;
  }
}
