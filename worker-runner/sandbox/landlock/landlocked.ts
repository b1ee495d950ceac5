/** Owns the start of one keeper in a sandbox without namespaces: Landlock, a system call filter, limits, and a user of its own under root. */
import { execFile } from "node:child_process";
import { chmodSync } from "node:fs";
import { arch } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { ETC_OF_THE_SYSTEM, userEnvironment } from "../bwrap-arguments.ts";
import { SessionGroup } from "../cgroup.ts";
import { findControlGroups } from "../cgroup-parents.ts";
import { NICENESS, OOM_SCORE } from "../launch-script.ts";
import { sendSignal } from "../process-tree.ts";
import { findPythonHome, type PythonHome } from "../python-home.ts";
import { NO_CRASH_HANDLER, rlimitArguments } from "../rlimits.ts";
import {
  CHANNEL_SOCKET_NAME,
  EGRESS_SOCKET_NAME,
  PROXY_PORT,
  type Sandbox,
  type SandboxOptions,
  type StartSandbox,
} from "../sandbox-contract.ts";
import { bareRules } from "../seccomp/bare-rules.ts";
import { hasSeccompTable, seccompProgram } from "../seccomp/seccomp-filter.ts";
import { freeSessionUid, runsAsRoot, takeSessionUid } from "../session-uid.ts";
import type { WardEntry, Zygote } from "../zygote.ts";
import { findLandlock } from "./landlock-support.ts";
import { closedFolderAbove, filesInFolder, filesOnTmpfs, type SessionFiles } from "./session-files.ts";
import { watchUse } from "./use-watch.ts";
import { WardedKeeper } from "./warded-keeper.ts";
import { forkWarden, spawnWarden, type WardenProcess } from "./warden-process.ts";

const SYSTEM = ["/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64"];
/** Which distribution this is. bubblewrap hides these files; programs take a file that is there and closed for an error. */
const DISTRIBUTION = [
  "os-release",
  "debian_version",
  "lsb-release",
  "redhat-release",
  "system-release",
  "alpine-release",
];
const DEVICES = ["null", "zero", "full", "random", "urandom"].map((name) => `/dev/${name}`);
/** The kernel counts an ordinary user's processes on the whole machine. The warden counts those of a session, a moment later. */
const SHARED_PROCESSES = 16;
/** One file may fill all the room; the folders around it take some too. */
const SLACK_BYTES = 1024 * 1024;

/** Starts a keeper by itself. @throws Error with the step that the kernel refuses. */
export const startLandlocked: StartSandbox = async (options) =>
  launch(options, async (entry, python) => spawnWarden(entry, await landlockFilter(options), python));

/** Forks a keeper from a zygote. @throws Error as `startLandlocked`. */
export function forkLandlocked(options: SandboxOptions, zygote: Zygote): Promise<Sandbox> {
  return launch(options, (entry) => forkWarden(entry, zygote, options.channelDirectory));
}

/** The seccomp program of this machine. @throws Error if there is none. */
export async function landlockFilter({ python, network }: Pick<SandboxOptions, "python" | "network">): Promise<Buffer> {
  const architecture = arch();
  if (!hasSeccompTable(architecture)) {
    throw new Error(`The sandbox does not start: no table of system calls for ${architecture}`);
  }
  const { hasTruncate } = await findLandlock(python);
  return seccompProgram(
    architecture,
    bareRules({ hasOwnUser: runsAsRoot(), hasTruncate, hasProxy: network === "proxy" }),
  );
}

async function launch(
  options: SandboxOptions,
  start: (entry: WardEntry, python: PythonHome) => Promise<WardenProcess>,
): Promise<Sandbox> {
  if (options.network === "on") throw new Error("NETWORK=on needs bubblewrap: Landlock cannot keep code from the host");
  const { abi, canMount, canPassSockets } = await findLandlock(options.python);
  if (abi === 0) {
    throw new Error(
      "The sandbox does not start: this kernel has no Landlock (Linux 5.13, `landlock` in its list of lsm)",
    );
  }
  if (options.network === "proxy" && !canPassSockets) {
    throw new Error(
      "EGRESS_ALLOW needs bubblewrap here: under Landlock it takes Linux 5.14 and a container that allows seccomp(2) with a listener",
    );
  }
  const python = await findPythonHome(options.python);
  const groups = findControlGroups();
  const uid = runsAsRoot() ? takeSessionUid() : null;
  const needed = [...python.roots, ...(options.workspaceDirectory === null ? [] : [options.workspaceDirectory])];
  if (uid !== null && !canMount) refuseClosedPython(python);
  // Nobody but the runner and the wardens gets through to the sockets.
  chmodSync(options.channelDirectory, 0o700);
  const files = uid !== null && canMount ? filesOnTmpfs(options, needed) : filesInFolder(options, uid);
  const group = groups && new SessionGroup(groups, options.id, options.limits.memoryBytes);
  const { limits } = options;
  const processes = uid === null ? limits.processes * SHARED_PROCESSES : limits.processes;
  const entry: WardEntry = {
    terminal: "",
    channel: join(options.channelDirectory, CHANNEL_SOCKET_NAME),
    group_entrances: group?.entrances ?? [],
    oom_score: OOM_SCORE,
    niceness: groups?.cpu ? 0 : NICENESS,
    user: uid,
    tmpfs: files.tmpfs,
    folder: files.folder,
    max_bytes: limits.workspaceBytes + SLACK_BYTES,
    max_files: limits.workspaceFiles,
    max_processes: limits.processes,
    readable: [...SYSTEM, ...python.roots, files.program],
    data: ["/proc", ...[...ETC_OF_THE_SYSTEM, ...DISTRIBUTION].map((name) => `/etc/${name}`)],
    devices: DEVICES,
    writable: files.writable,
    rlimits: [NO_CRASH_HANDLER, ...rlimitArguments({ ...limits, processes }, group !== null, true)],
    program: files.program,
    preload: options.preload,
    workspace: files.workspace,
    egress: options.network === "proxy" ? `${PROXY_PORT}:${join(options.channelDirectory, EGRESS_SOCKET_NAME)}` : "",
    environment: environmentOf(options, python, files),
  };
  let unwatch: (() => void) | null = null;
  const tidy = async () => {
    unwatch?.();
    // rm(1) walks by descriptor: it follows no link, and no path is too deep for it.
    if (files.folder !== null) await promisify(execFile)("rm", ["-rf", "--", files.folder]);
    if (uid !== null) freeSessionUid(uid);
  };
  try {
    const warden = await start(entry, python);
    const keeper = new WardedKeeper({ warden, group, memoryBytes: limits.memoryBytes, uid, tidy });
    if (files.folder !== null) {
      unwatch = watchUse(files.folder, () => sendSignal(warden.pid, "SIGUSR1"));
      void keeper.exited.then(unwatch);
    }
    return keeper;
  } catch (error) {
    await group?.remove();
    await tidy();
    throw error;
  }
}

function environmentOf(options: SandboxOptions, python: PythonHome, files: SessionFiles): Record<string, string> {
  return {
    ...userEnvironment({}, python),
    HOME: files.home,
    TMPDIR: files.tmp,
    // The user has no entry in the host's list of users.
    LOGNAME: "python",
    ...options.env,
  };
}

/** Without mounts of its own, a session's user can read only files that every user can read. */
function refuseClosedPython(python: PythonHome): void {
  const closed = python.roots.find((root) => closedFolderAbove(root) !== null);
  if (closed === undefined) return;
  throw new Error(
    `The sandbox does not start: the session's user may not pass to ${closed}; use a Python that all may read`,
  );
}
