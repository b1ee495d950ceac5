/** Owns the arguments of bubblewrap: the namespaces, mounts and environment inside a sandbox. */
import { existsSync, lstatSync, readlinkSync } from "node:fs";
import { dirname, join } from "node:path";
import { FILTER_FD, NETWORK_FD, STATUS_FD, TOKEN_FD } from "./descriptors.ts";
import { networkSetup } from "./network.ts";
import { KEEPER_PACKAGE, PYTHON_FLAGS, type PythonHome } from "./python-home.ts";
import { CHANNEL_SOCKET_NAME, EGRESS_SOCKET_NAME, PROXY_PORT, type SandboxOptions } from "./sandbox-contract.ts";
import { ETC_FILES, type Stage } from "./stage.ts";

const CHANNEL_INSIDE = "/run/pyrepl";
export const PACKAGE_INSIDE = "/opt/pyrepl/python";
export const WORKSPACE_INSIDE = "/workspace";
const HOME_INSIDE = "/home/python";

/** The session's socket as the keeper sees it. */
export const CHANNEL_PATH = `${CHANNEL_INSIDE}/${CHANNEL_SOCKET_NAME}`;

/** Port and socket of the session's proxy as the keeper sees them; empty if there is none. */
export function egressInside({ network }: Pick<SandboxOptions, "network">): string {
  return network === "proxy" ? `${PROXY_PORT}:${CHANNEL_INSIDE}/${EGRESS_SOCKET_NAME}` : "";
}

/** The user that user code sees itself as; outside it is another one. */
export const USER_INSIDE = 1000;

/** What libraries look up under /etc: Debian's alternatives (BLAS is one), the loader's cache, time, fonts, certificates. */
export const ETC_OF_THE_SYSTEM = [
  "alternatives",
  "ca-certificates",
  "fonts",
  "ld.so.cache",
  "localtime",
  "matplotlibrc",
  "mime.types",
  "pki",
  "python3",
  "ssl/certs",
  "ssl/openssl.cnf",
];

/** Files of `/proc` about the machine and not about the session. Container engines hide the first ten too. */
export const HIDDEN_IN_PROC = [
  ...[
    "acpi",
    "asound",
    "interrupts",
    "kcore",
    "keys",
    "latency_stats",
    "sched_debug",
    "scsi",
    "timer_list",
    "timer_stats",
  ],
  ...[
    "cmdline",
    "config.gz",
    "diskstats",
    "iomem",
    "ioports",
    "kallsyms",
    "key-users",
    "kmsg",
    "modules",
    "partitions",
  ],
  ...["slabinfo", "swaps", "sysvipc", "vmallocinfo"],
].map((name) => `/proc/${name}`);

/** bubblewrap's command line from its options to the keeper's own. */
export function bwrapArguments(
  options: SandboxOptions,
  python: PythonHome,
  stage: Stage,
  rlimits: readonly string[],
): string[] {
  const hasNetwork = options.network === "on";
  return [
    ...NAMESPACES,
    // A network is set up from the user namespace that owns it; the filter refuses new ones there as well.
    ...(hasNetwork ? ["--cap-add", "CAP_NET_ADMIN"] : ["--disable-userns"]),
    ...["--seccomp", `${FILTER_FD}`, "--json-status-fd", `${STATUS_FD}`],
    ...mounts(options, python, stage, [...HIDDEN_IN_PROC.flatMap(hidden), "--remount-ro", "/proc"]),
    ...[
      "--clearenv",
      ...Object.entries(environment(options, python)).flatMap(([name, value]) => ["--setenv", name, value]),
    ],
    ...["--chdir", WORKSPACE_INSIDE, "--"],
    ...(hasNetwork ? networkSetup() : []),
    ...["/usr/bin/prlimit", ...rlimits],
    ...[python.executable, ...PYTHON_FLAGS, PACKAGE_INSIDE],
  ];
}

/**
 * bubblewrap's command line for a skeleton: a sandbox without a keeper, for one that is forked from a zygote. The keeper gets a pid
 * namespace of its own, mounts /proc for it, and closes user namespaces (`sandbox_entry.py`).
 */
export function skeletonArguments(options: SandboxOptions, python: PythonHome, stage: Stage): string[] {
  return [
    ...NAMESPACES,
    ...["--seccomp", `${FILTER_FD}`, "--json-status-fd", `${STATUS_FD}`],
    ...mounts(options, python, stage, []),
    // bubblewrap names the pid of its child before the mounts are made; the shell runs after that, until the runner closes its end.
    // While it waits, its fd 0 is NETWORK_FD.
    ...["--clearenv", "--", "/bin/sh", "-c"],
    `exec ${TOKEN_FD}<&0; echo ready >&${NETWORK_FD}; read -r _ <&${NETWORK_FD}`,
  ];
}

const NAMESPACES = [
  ...["--unshare-all", "--unshare-user", "--uid", `${USER_INSIDE}`, "--gid", `${USER_INSIDE}`],
  ...["--as-pid-1", "--die-with-parent", "--new-session", "--hostname", "sandbox", "--cap-drop", "ALL"],
];

function mounts(options: SandboxOptions, python: PythonHome, stage: Stage, onProc: readonly string[]): string[] {
  const readOnly: [string, string][] = [
    ...ETC_FILES.map((name): [string, string] => [join(stage.etc, name), `/etc/${name}`]),
    ...python.roots.map((root): [string, string] => [stage.sourceOf(root), root]),
    [stage.sourceOf(KEEPER_PACKAGE), PACKAGE_INSIDE],
    [stage.sourceOf(options.channelDirectory), CHANNEL_INSIDE],
  ];
  const writable: [string, string][] = [
    [stage.tmp, "/tmp"],
    [stage.home, HOME_INSIDE],
    [options.workspaceDirectory ? stage.sourceOf(options.workspaceDirectory) : stage.workspace, WORKSPACE_INSIDE],
  ];
  return [
    ...["--ro-bind", "/usr", "/usr", ...["/bin", "/sbin", "/lib", "/lib32", "/lib64"].flatMap(systemLink)],
    ...ETC_OF_THE_SYSTEM.flatMap((name) => ["--ro-bind-try", `/etc/${name}`, `/etc/${name}`]),
    ...writable.flatMap(([from, to]) => ["--bind", from, to]),
    ...readOnly.flatMap(([from, to]) => ["--ro-bind", from, to]),
    // A read-only /proc keeps even processes of one user out of one another's memory.
    ...["--proc", "/proc", ...onProc],
    ...devices(stage),
    // bubblewrap's own tmpfs for the root knows no limit.
    ...["--remount-ro", "/"],
  ];
}

function hidden(path: string): string[] {
  if (!existsSync(path)) return [];
  return lstatSync(path).isDirectory() ? ["--tmpfs", path, "--remount-ro", path] : ["--ro-bind", "/dev/null", path];
}

/** Not bubblewrap's `--dev`: that has terminals, which come from a pool that the whole machine shares. */
function devices(stage: Stage): string[] {
  return [
    ...["--tmpfs", "/dev"],
    ...["null", "zero", "full", "random", "urandom"].flatMap((name) => ["--dev-bind", `/dev/${name}`, `/dev/${name}`]),
    ...["--symlink", "/proc/self/fd", "/dev/fd"],
    ...["stdin", "stdout", "stderr"].flatMap((name, at) => ["--symlink", `/proc/self/fd/${at}`, `/dev/${name}`]),
    ...["--bind", stage.shm, "/dev/shm", "--remount-ro", "/dev"],
  ];
}

/** /bin and its like: links into /usr on merged systems, directories on older ones. */
function systemLink(path: string): string[] {
  if (!existsSync(path)) return [];
  return lstatSync(path).isSymbolicLink() ? ["--symlink", readlinkSync(path), path] : ["--ro-bind", path, path];
}

/** The keeper's variables. */
export function environment(options: SandboxOptions, python: PythonHome): Record<string, string> {
  return {
    ...userEnvironment(options.env, python),
    PYREPL_CHANNEL: CHANNEL_PATH,
    ...(egressInside(options) === "" ? {} : { PYREPL_EGRESS: egressInside(options) }),
    PYREPL_PRELOAD: options.preload.join(","),
    PYREPL_PROGRAM: PACKAGE_INSIDE,
    PYREPL_WORKSPACE: WORKSPACE_INSIDE,
  };
}

/** The variables that user code sees. */
export function userEnvironment(env: SandboxOptions["env"], python: PythonHome): Record<string, string> {
  return {
    HOME: HOME_INSIDE,
    LANG: "C.UTF-8",
    PATH: [...new Set([dirname(python.executable), "/usr/local/bin", "/usr/bin", "/bin"])].join(":"),
    TMPDIR: "/tmp",
    ...env,
  };
}
