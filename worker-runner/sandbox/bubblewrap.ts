/** Owns the start of one sandboxed keeper: the arguments of bubblewrap, its launcher and the session's control groups. */
import { chmodSync, chownSync, existsSync } from "node:fs";
import { arch } from "node:os";
import { join } from "node:path";
import {
  bwrapArguments,
  CHANNEL_PATH,
  egressInside,
  HIDDEN_IN_PROC,
  PACKAGE_INSIDE,
  skeletonArguments,
  USER_INSIDE,
  WORKSPACE_INSIDE,
} from "./bwrap-arguments.ts";
import { SessionGroup } from "./cgroup.ts";
import { findControlGroups } from "./cgroup-parents.ts";
import { TOKEN_FD } from "./descriptors.ts";
import type { Skeleton } from "./forked-keeper.ts";
import { KeeperProcess } from "./keeper-process.ts";
import { launchCommand, NICENESS, OOM_SCORE } from "./launch-script.ts";
import { connectNetwork, NAMESERVER } from "./network.ts";
import { findPythonHome, KEEPER_PACKAGE } from "./python-home.ts";
import { countsProcessesApart, NO_CRASH_HANDLER, rlimitArguments } from "./rlimits.ts";
import { CHANNEL_SOCKET_NAME, EGRESS_SOCKET_NAME, type Sandbox, type SandboxOptions } from "./sandbox-contract.ts";
import { OFFLINE_RULES } from "./seccomp/offline-rules.ts";
import { hasSeccompTable, seccompProgram } from "./seccomp/seccomp-filter.ts";
import { freeSessionUid, runsAsRoot, takeSessionUid } from "./session-uid.ts";
import { Stage } from "./stage.ts";

const ARCHITECTURE = arch();
const FILTERS = hasSeccompTable(ARCHITECTURE)
  ? { online: seccompProgram(ARCHITECTURE), offline: seccompProgram(ARCHITECTURE, OFFLINE_RULES) }
  : null;

/** The launcher's tools, wherever the runner's own PATH points. */
const PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/**
 * Starts a keeper in a sandbox of its own: no capabilities, no network, a read-only system, a user and a process tree apart.
 *
 * @throws Error with the launcher's or bubblewrap's own words.
 */
export async function startSandbox(options: SandboxOptions): Promise<Sandbox> {
  const { sandbox } = await launch(options, {
    argumentsOf: bwrapArguments,
    outerRlimits: [NO_CRASH_HANDLER],
    connect: options.network === "on" ? connectNetwork : null,
    isSkeleton: false,
  });
  return sandbox;
}

/**
 * Starts a sandbox without a keeper. A zygote forks the keeper later.
 *
 * @throws Error as `startSandbox`.
 */
export async function startSkeleton(options: SandboxOptions): Promise<Skeleton> {
  const { sandbox, uid, group, hasProcessorShare, rlimits } = await launch(options, {
    argumentsOf: skeletonArguments,
    // No user code runs in the skeleton's own processes.
    outerRlimits: [],
    connect: noNetwork,
    isSkeleton: true,
  });
  return {
    sandbox,
    isMemoryCounted: group !== null,
    uid,
    ownDirectory: null,
    entry: {
      skeleton_pid: sandbox.pid,
      token_fd: TOKEN_FD,
      group_entrances: group?.entrances ?? [],
      oom_score: OOM_SCORE,
      niceness: hasProcessorShare ? 0 : NICENESS,
      user: USER_INSIDE,
      hidden: HIDDEN_IN_PROC,
      rlimits: [NO_CRASH_HANDLER, ...rlimits],
      channel: CHANNEL_PATH,
      program: PACKAGE_INSIDE,
      workspace: WORKSPACE_INSIDE,
      egress: egressInside(options),
    },
  };
}

/** The seccomp program of this machine. @throws Error if there is none. */
export function seccompFilter(network: SandboxOptions["network"]): Buffer {
  if (!FILTERS) throw new Error(`The sandbox does not start: no table of system calls for ${ARCHITECTURE}`);
  return network === "on" ? FILTERS.online : FILTERS.offline;
}

interface LaunchKind {
  argumentsOf: typeof bwrapArguments;
  outerRlimits: readonly string[];
  /** Called when the process in the sandbox says that it waits. */
  connect: Connect | null;
  isSkeleton: boolean;
}

async function launch(options: SandboxOptions, { argumentsOf, outerRlimits, connect, isSkeleton }: LaunchKind) {
  const filter = seccompFilter(options.network);
  const python = await findPythonHome(options.python);
  const groups = findControlGroups();
  const hasNetwork = options.network === "on";
  const uid = runsAsRoot() ? takeSessionUid() : null;
  const stage = new Stage(
    [options.channelDirectory, KEEPER_PACKAGE, ...python.roots],
    uid,
    hasNetwork ? [NAMESERVER] : [],
  );
  const rlimits = rlimitArguments(options.limits, groups !== null, countsProcessesApart(uid !== null));
  const bwrap = argumentsOf(options, python, stage, rlimits);
  closeChannelToOthers(options.channelDirectory, uid);
  const group = groups && new SessionGroup(groups, options.id, options.limits.memoryBytes);
  const hasProcessorShare = Boolean(groups?.cpu);
  const sandbox = await KeeperProcess.start({
    ...launchCommand({
      groupEntrances: group?.entrances ?? [],
      hasProcessorShare,
      stageLines: stage.script(options.limits),
      uid,
      rlimits: outerRlimits,
      bwrap,
    }),
    env: { PATH },
    channelPath: CHANNEL_PATH,
    bubblewrap: { filter, connect: connect && ((pid) => connect(pid, uid)), isSkeleton },
    group,
    memoryBytes: options.limits.memoryBytes,
    tidy() {
      if (uid !== null) freeSessionUid(uid);
    },
  });
  return { sandbox, uid, group, hasProcessorShare, rlimits };
}

type Connect = typeof connectNetwork;

/** A skeleton waits for nothing; that it could say so shows that it is complete. */
const noNetwork: Connect = async () => () => undefined;

/** Nobody but the session's user gets through to the sockets. User code has not run yet, and will see both read-only. */
function closeChannelToOthers(directory: string, uid: number | null): void {
  chmodSync(directory, 0o700);
  if (uid === null) return;
  // A skeleton that is made ahead gets its sockets later.
  for (const name of [CHANNEL_SOCKET_NAME, EGRESS_SOCKET_NAME]) {
    const socket = join(directory, name);
    if (existsSync(socket)) chownSync(socket, uid, uid);
  }
  chownSync(directory, uid, uid);
}
