/** Owns a keeper without isolation, if the operator chose that. User code then has all rights of the runner's user. */
import { execFile } from "node:child_process";
import { chmodSync, mkdtempSync } from "node:fs";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import { tempFolderPrefix } from "../temp-folder.ts";
import { SessionGroup } from "./cgroup.ts";
import { findControlGroups } from "./cgroup-parents.ts";
import { KeeperProcess } from "./keeper-process.ts";
import { findPythonHome, KEEPER_PACKAGE, PYTHON_FLAGS } from "./python-home.ts";
import { NO_CRASH_HANDLER, rlimitArguments } from "./rlimits.ts";
import { CHANNEL_SOCKET_NAME, type Sandbox, type SandboxOptions } from "./sandbox-contract.ts";
import { quote } from "./shell.ts";

/**
 * Starts a keeper with limits, a clean environment and a workspace of its own, and nothing that keeps it in.
 *
 * @throws Error where it cannot start.
 */
export async function startUnsandboxed(options: SandboxOptions): Promise<Sandbox> {
  if (options.network === "proxy") {
    throw new Error("EGRESS_ALLOW needs a sandbox: without one, code uses the network of this machine");
  }
  const python = await findPythonHome(options.python);
  const groups = findControlGroups();
  const group = groups && new SessionGroup(groups, options.id, options.limits.memoryBytes);
  const directory = mkdtempSync(tempFolderPrefix("unsandboxed"));
  // The keeper has the runner's own user; nobody else may take the channel's places.
  chmodSync(options.channelDirectory, 0o700);
  const channelPath = join(options.channelDirectory, CHANNEL_SOCKET_NAME);
  const workspace = options.workspaceDirectory ?? directory;
  const keeper = [python.executable, ...PYTHON_FLAGS, KEEPER_PACKAGE];
  const command = ["prlimit", NO_CRASH_HANDLER, ...rlimitArguments(options.limits, group !== null, false), ...keeper];
  const script = [
    "set -e",
    ...(group?.entrances ?? []).map((file) => `echo $$ >${quote(file)}`),
    `cd ${quote(workspace)}`,
    `exec ${command.map(quote).join(" ")}`,
  ];
  return KeeperProcess.start({
    command: "/bin/sh",
    args: ["-c", script.join("\n")],
    env: {
      HOME: directory,
      LANG: "C.UTF-8",
      PATH: [...new Set([dirname(python.executable), "/usr/local/bin", "/usr/bin", "/bin"])].join(":"),
      TMPDIR: directory,
      ...options.env,
      PYREPL_CHANNEL: channelPath,
      PYREPL_PRELOAD: options.preload.join(","),
      PYREPL_PROGRAM: KEEPER_PACKAGE,
      PYREPL_WORKSPACE: workspace,
    },
    channelPath,
    bubblewrap: null,
    group,
    memoryBytes: options.limits.memoryBytes,
    async tidy() {
      // rm(1) walks by descriptor: it follows no link, and no path is too deep for it.
      await promisify(execFile)("rm", ["-rf", "--", directory]);
    },
  });
}
