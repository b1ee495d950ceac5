/** Owns the names of a runner's folders in the temporary directory, so that what a killed runner left can be told and removed. */
import { existsSync, readlinkSync } from "node:fs";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

const NAME = /^pyrepl3-[a-z]+-(\d+)-(\d+)-[A-Za-z0-9]{6}$/;

/** A process id means something in its pid namespace only, and containers may share a temporary directory. */
function pidNamespace(): string {
  try {
    return /\d+/.exec(readlinkSync("/proc/self/ns/pid"))?.[0] ?? "0";
  } catch {
    return "0";
  }
}

/** The beginning of a new folder's path; `mkdtemp` adds the rest. */
export function tempFolderPrefix(purpose: string): string {
  return join(tmpdir(), `pyrepl3-${purpose}-${pidNamespace()}-${process.pid}-`);
}

/** A new folder of this process's own; whoever asked for it removes it. */
export function makeTempFolder(purpose: string): Promise<string> {
  return mkdtemp(tempFolderPrefix(purpose));
}

/**
 * Removes the folders of processes of this pid namespace that are gone.
 *
 * @returns how many there were.
 */
export async function removeLeftFolders(): Promise<number> {
  const namespace = pidNamespace();
  let count = 0;
  for (const name of await readdir(tmpdir())) {
    const [, owner, pid] = NAME.exec(name) ?? [];
    if (owner !== namespace || existsSync(`/proc/${pid}`)) continue;
    // Another user's folder, or one that another runner removes at this moment, is not ours to fail over.
    await rm(join(tmpdir(), name), { recursive: true, force: true }).then(
      () => {
        count += 1;
      },
      () => undefined,
    );
  }
  return count;
}
