/** Finds where this runner may create control groups, version 1 or 2. `cgroup.ts` creates those of a session. */
import {
  accessSync,
  constants,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmdirSync,
  writeFileSync,
} from "node:fs";
import { dirname, join, relative } from "node:path";
import { pidNamespace } from "../pid-namespace.ts";

/** The directories below which sessions get a group of their own, one per controller in use. */
export interface ControlGroups {
  mechanism: "cgroup-v1" | "cgroup-v2";
  memory: string;
  /** Null where processor time is not shared out by group. */
  cpu: string | null;
}

const OWN_NAME = `pyrepl3-${pidNamespace()}-${process.pid}`;
const RUNNER_LEAF = "pyrepl3-runner";

let found: ControlGroups | null | undefined;

/** @returns null where no memory controller is writable; limits are then the kernel's per process. */
export function findControlGroups(): ControlGroups | null {
  if (found === undefined) {
    found = findVersion1() ?? findVersion2();
    for (const directory of new Set([found?.memory, found?.cpu])) if (directory) removeLeftBehind(dirname(directory));
  }
  return found;
}

/** Groups stand below the runner's own, so that whatever bounds the runner bounds its sessions too. */
function findVersion1(): ControlGroups | null {
  const memory = ownDirectory("memory");
  if (memory === null || !canMakeGroups(memory)) return null;
  const cpu = ownDirectory("cpu");
  return {
    mechanism: "cgroup-v1",
    memory: join(memory, OWN_NAME),
    cpu: cpu !== null && canMakeGroups(cpu) ? join(cpu, OWN_NAME) : null,
  };
}

function findVersion2(): ControlGroups | null {
  const own = ownDirectory(null);
  if (own === null || !canMakeGroups(own) || !delegates(own)) return null;
  const directory = join(own, OWN_NAME);
  return { mechanism: "cgroup-v2", memory: directory, cpu: directory };
}

/** Hands the controllers down from the runner's group. A group with processes in it cannot (cgroups(7), "no internal processes"). */
function delegates(group: string): boolean {
  if (!readFileSync(join(group, "cgroup.controllers"), "utf8").split(/\s+/).includes("memory")) return false;
  const handDown = () => writeFileSync(join(group, "cgroup.subtree_control"), "+memory +cpu");
  try {
    handDown();
    return true;
  } catch (error) {
    if (!(error instanceof Error && "code" in error && error.code === "EBUSY")) return false;
  }
  try {
    const leaf = join(group, RUNNER_LEAF);
    mkdirSync(leaf, { recursive: true });
    for (const pid of readFileSync(join(group, "cgroup.procs"), "utf8").split("\n").filter(Boolean)) {
      writeFileSync(join(leaf, "cgroup.procs"), pid);
    }
    handDown();
    return true;
  } catch {
    return false; // Somebody else manages this group.
  }
}

/** The runner's own group in one hierarchy (`null`: the unified one), as a directory. */
function ownDirectory(controller: string | null): string | null {
  const mount = mountOf(controller);
  const line = readFileSync("/proc/self/cgroup", "utf8")
    .split("\n")
    .map((entry) => entry.split(":"))
    .find(([, controllers = ""]) => (controller ? controllers.split(",").includes(controller) : controllers === ""));
  if (!mount || !line) return null;
  const below = relative(mount.root, line.slice(2).join(":"));
  const directory = below.startsWith("..") ? mount.point : join(mount.point, below);
  return existsSync(directory) ? directory : null;
}

function mountOf(controller: string | null): { root: string; point: string } | null {
  for (const line of readFileSync("/proc/self/mountinfo", "utf8").split("\n")) {
    const [before = "", after = ""] = line.split(" - ");
    const [, , , root = "/", point = ""] = before.split(" ");
    const [type, , options = ""] = after.split(" ");
    const matches = controller ? type === "cgroup" && options.split(",").includes(controller) : type === "cgroup2";
    if (matches) return { root, point };
  }
  return null;
}

function canMakeGroups(directory: string): boolean {
  const trial = join(directory, `${OWN_NAME}-trial`);
  try {
    accessSync(join(directory, "cgroup.procs"), constants.W_OK);
    mkdirSync(trial);
    rmdirSync(trial);
    return true;
  } catch {
    return false; // Read-only in most containers, and somebody else's for an ordinary user.
  }
}

/**
 * Removes the groups of killed runners of this pid namespace; containers may share a hierarchy. Their sandboxes ended with them, and a
 * group with a process in it stays.
 */
function removeLeftBehind(parent: string): void {
  const namespace = pidNamespace();
  for (const name of readdirSync(parent)) {
    const [, owner, pid] = /^pyrepl3-(\d+)-(\d+)$/.exec(name) ?? [];
    if (owner !== namespace || existsSync(`/proc/${pid}`)) continue;
    const group = join(parent, name);
    try {
      for (const entry of readdirSync(group, { withFileTypes: true })) {
        if (entry.isDirectory()) rmdirSync(join(group, entry.name));
      }
      rmdirSync(group);
    } catch {
      // Something is in it after all, or another runner removes it at this moment.
    }
  }
}
