/** Owns where the files of a session without namespaces are: on a tmpfs of its own, or in a folder of the host that is measured. */
import { chmodSync, chownSync, cpSync, mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { tempFolderPrefix } from "../../temp-folder.ts";
import { KEEPER_PACKAGE } from "../python-home.ts";
import type { SandboxOptions } from "../sandbox-contract.ts";
import { canAnyonePass, findMountPoint } from "../stage.ts";

const FOLDERS = ["workspace", "home", "tmp", "shm"] as const;
const PROGRAM = "program";
/** Where a session's user certainly gets to. */
const OPEN_TO_ALL = "/tmp";

export interface SessionFiles {
  workspace: string;
  home: string;
  tmp: string;
  /** All folders that user code may write to. */
  writable: string[];
  tmpfs: {
    point: string;
    options: string;
    folders: readonly string[];
    covers: Record<string, string>;
    binds: Record<string, string>;
    opened: Record<string, string[]>;
  } | null;
  /** Our own program, where the session's user gets to it. */
  program: string;
  /** The folder outside, or null if there is a tmpfs. */
  folder: string | null;
}

/**
 * Puts the files on a tmpfs, which the keeper mounts where only its session sees it. /tmp and /dev/shm are then the session's own too,
 * unless `needed` has a path there.
 */
export function filesOnTmpfs({ limits, workspaceDirectory }: SandboxOptions, needed: readonly string[]): SessionFiles {
  const point = findMountPoint(needed);
  const at = (name: string) => join(point, name);
  const isFree = (place: string) => !needed.some((path) => path.startsWith(`${place}/`));
  const covers = Object.entries({ "/tmp": "tmp", "/dev/shm": "shm" }).filter(([place]) => isFree(place));
  return {
    workspace: workspaceDirectory ?? at("workspace"),
    home: at("home"),
    tmp: isFree("/tmp") ? "/tmp" : at("tmp"),
    writable: [...FOLDERS.map(at), ...(workspaceDirectory === null ? [] : [workspaceDirectory])],
    tmpfs: {
      point,
      options: `size=${limits.workspaceBytes},nr_inodes=${limits.workspaceFiles},mode=0755`,
      folders: FOLDERS,
      covers: Object.fromEntries(covers),
      binds: { [PROGRAM]: KEEPER_PACKAGE },
      opened: groupByClosedFolder(needed),
    },
    program: at(PROGRAM),
    folder: null,
  };
}

/** Makes a folder for the files. The caller removes it. */
export function filesInFolder({ workspaceDirectory }: SandboxOptions, uid: number | null): SessionFiles {
  const folder = mkdtempSync(openPrefix(uid));
  const at = (name: string) => join(folder, name);
  for (const name of FOLDERS) {
    mkdirSync(at(name));
    chmodSync(at(name), 0o700);
    if (uid !== null) chownSync(at(name), uid, uid);
  }
  if (uid !== null) chownSync(folder, uid, uid);
  return {
    workspace: workspaceDirectory ?? at("workspace"),
    home: at("home"),
    tmp: at("tmp"),
    writable: [...FOLDERS.map(at), ...(workspaceDirectory === null ? [] : [workspaceDirectory])],
    tmpfs: null,
    program: uid === null ? KEEPER_PACKAGE : openProgram(),
    folder,
  };
}

/** A session's own user must get to its folder. */
function openPrefix(uid: number | null): string {
  const prefix = tempFolderPrefix("files");
  const isReachable = uid === null || canAnyonePass(dirname(prefix));
  return isReachable ? prefix : join(OPEN_TO_ALL, basename(prefix));
}

let copy: string | null = null;

/** Our program, copied once for each runner if it is below a folder that only root may enter. */
function openProgram(): string {
  if (canAnyonePass(dirname(KEEPER_PACKAGE))) return KEEPER_PACKAGE;
  if (copy === null) {
    const folder = mkdtempSync(openPrefix(0));
    chmodSync(folder, 0o755);
    cpSync(KEEPER_PACKAGE, join(folder, PROGRAM), { recursive: true });
    process.once("exit", () => rmSync(folder, { recursive: true, force: true }));
    copy = join(folder, PROGRAM);
  }
  return copy;
}

/** The paths below folders that only root may pass, by the topmost such folder. */
function groupByClosedFolder(paths: readonly string[]): Record<string, string[]> {
  const groups: Record<string, string[]> = {};
  for (const path of paths) {
    const closed = closedFolderAbove(path);
    if (closed === null) continue;
    groups[closed] = [...(groups[closed] ?? []), path];
  }
  return groups;
}

/** The topmost folder on the way to a path that not every user may pass; null if there is none. */
export function closedFolderAbove(path: string): string | null {
  const folder = dirname(path);
  if (canAnyonePass(folder)) return null;
  return canAnyonePass(dirname(folder)) ? folder : closedFolderAbove(folder);
}
