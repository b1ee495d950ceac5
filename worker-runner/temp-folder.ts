/** Owns the names of a runner's folders in the temporary directory, so that the folders of a killed runner can be found and removed. */
import { existsSync } from "node:fs";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pidNamespace } from "./pid-namespace.ts";

const NAME = /^pyrepl3-[a-z]+-(\d+)-(\d+)-[A-Za-z0-9]{6}$/;

/** The beginning of a new folder's path; `mkdtemp` adds the rest. */
export function tempFolderPrefix(purpose: string): string {
  return join(tmpdir(), `pyrepl3-${purpose}-${pidNamespace()}-${process.pid}-`);
}

/** Creates a folder. The caller removes it. */
export function makeTempFolder(purpose: string): Promise<string> {
  return mkdtemp(tempFolderPrefix(purpose));
}

/**
 * Removes the folders of ended processes of this pid namespace.
 *
 * @returns how many there were.
 */
export async function removeLeftFolders(): Promise<number> {
  // Containers may share a temporary directory.
  const namespace = pidNamespace();
  let count = 0;
  for (const name of await readdir(tmpdir())) {
    const [, owner, pid] = NAME.exec(name) ?? [];
    if (owner !== namespace || existsSync(`/proc/${pid}`)) continue;
    // Folders of other users, and folders that another runner is removing, are left alone.
    await rm(join(tmpdir(), name), { recursive: true, force: true }).then(
      () => {
        count += 1;
      },
      () => undefined,
    );
  }
  return count;
}
