/** Owns the start and the end of one sandbox: bubblewrap, the launcher around it, and what they leave; the parts are in `sandbox/`. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { chownSync, mkdtempSync, readFileSync, rmdirSync } from "node:fs";
import { arch, constants, tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import type { Readable, Writable } from "node:stream";
import { bwrapArguments, CHANNEL_PATH, SECCOMP_FD, STATUS_FD } from "./sandbox/bwrap-arguments.ts";
import { findControlGroups } from "./sandbox/control-groups.ts";
import { launchCommand } from "./sandbox/launch-script.ts";
import { findPythonHome } from "./sandbox/python-home.ts";
import { rlimitArguments } from "./sandbox/rlimits.ts";
import { hasSeccompTable, seccompProgram } from "./sandbox/seccomp-filter.ts";
import { SessionGroup } from "./sandbox/session-group.ts";
import { freeSessionUid, runsAsRoot, takeSessionUid } from "./sandbox/session-uid.ts";
import { Stage } from "./sandbox/stage.ts";
import {
  CHANNEL_SOCKET_NAME,
  type Sandbox,
  type SandboxExit,
  type SandboxMemory,
  type SandboxOptions,
} from "./sandbox-contract.ts";

/** Null on an architecture without a table, where no sandbox starts. */
const ARCHITECTURE = arch();
const FILTER = hasSeccompTable(ARCHITECTURE) ? seccompProgram(ARCHITECTURE) : null;

/** The launcher's tools, wherever the runner's own PATH points. */
const PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/**
 * Starts a keeper in a sandbox of its own: no capabilities, no network, a read-only system, a user and a process tree apart.
 *
 * @throws Error with the launcher's or bubblewrap's own words.
 */
export async function startSandbox(options: SandboxOptions): Promise<Sandbox> {
  const python = await findPythonHome(options.python);
  return BwrapSandbox.start(options, (stage, rlimits) => bwrapArguments(options, python, stage, rlimits));
}

type BwrapCommand = (stage: Stage, rlimits: string[]) => string[];

class BwrapSandbox implements Sandbox {
  readonly channelPath = CHANNEL_PATH;
  readonly isPidOne = true;
  readonly stdin: Writable;
  readonly stderr: Readable;
  readonly exited: Promise<SandboxExit>;
  readonly #child: ChildProcess;
  readonly #group: SessionGroup | null;
  readonly #directory: string;
  readonly #uid: number | null;
  readonly #limitBytes: number;
  #keeperPid = 0;
  #hasExited = false;
  #cleared: Promise<void> | null = null;

  static async start(options: SandboxOptions, command: BwrapCommand): Promise<Sandbox> {
    const sandbox = new BwrapSandbox(options, command);
    try {
      await sandbox.#started();
      return sandbox;
    } catch (error) {
      await sandbox.kill();
      throw error;
    }
  }

  private constructor(options: SandboxOptions, command: BwrapCommand) {
    const groups = findControlGroups();
    this.#limitBytes = options.limits.memoryBytes;
    this.#uid = runsAsRoot() ? takeSessionUid() : null;
    this.#directory = mkdtempSync(join(tmpdir(), "pyrepl3-sandbox-"));
    this.#group = groups && new SessionGroup(groups, options.id, options.limits.memoryBytes);
    if (this.#uid !== null) {
      // Nobody but the session's user gets through to the socket. User code has not run yet, and will see both read-only.
      chownSync(options.channelDirectory, this.#uid, this.#uid);
      chownSync(join(options.channelDirectory, CHANNEL_SOCKET_NAME), this.#uid, this.#uid);
    }
    const stage = new Stage(this.#directory, this.#uid, []);
    const bwrap = command(stage, rlimitArguments(options.limits, this.#group !== null, true));
    const launch = launchCommand({
      groupEntrances: this.#group?.entrances ?? [],
      hasProcessorShare: Boolean(groups?.cpu),
      stageLines: stage.script(options.limits),
      uid: this.#uid,
      bwrap,
    });
    const child = spawn(launch.command, launch.args, {
      cwd: "/",
      env: { PATH },
      stdio: ["pipe", "ignore", "pipe", "pipe", "pipe"],
    });
    this.#child = child;
    this.stdin = pipeOf<Writable>(child, 0);
    this.stderr = pipeOf<Readable>(child, 2);
    this.exited = new Promise((resolve) => {
      const ended = (exit: SandboxExit) => {
        this.#hasExited = true;
        resolve(exit);
      };
      child.once("exit", (code, signal) => ended(exitOf(code, signal)));
      child.once("error", () => ended({ code: null, signal: null }));
    });
    const filter = pipeOf<Writable>(child, SECCOMP_FD);
    // A launcher that is gone already says why on stderr, or by its exit.
    for (const stream of [this.stdin, filter]) stream.on("error", () => stream.destroy());
    filter.end(FILTER);
  }

  get pid(): number {
    return this.#keeperPid;
  }

  async memoryStatus(): Promise<SandboxMemory> {
    return this.#group?.memoryStatus() ?? { residentBytes: null, limitBytes: this.#limitBytes, oomKills: null };
  }

  kill(): Promise<void> {
    this.#cleared ??= this.#clear();
    return this.#cleared;
  }

  async #clear(): Promise<void> {
    // The end of pid 1 is reported only once the kernel has ended everything else in its namespace; the end of bubblewrap, which
    // waits for it, is therefore the end of all.
    if (!this.#hasExited) {
      if (this.#keeperPid) process.kill(this.#keeperPid, "SIGKILL");
      else killTree(this.#child);
    }
    await this.exited;
    await this.#group?.remove();
    rmdirSync(this.#directory);
    if (this.#uid !== null) freeSessionUid(this.#uid);
  }

  /** Waits until bubblewrap names the keeper's pid. */
  async #started(): Promise<void> {
    let complaint = "";
    const collect = (text: Buffer) => {
      complaint += text.toString();
    };
    this.stderr.on("data", collect);
    const status = createInterface(pipeOf<Readable>(this.#child, STATUS_FD));
    const failed = new AbortController();
    void this.exited.then(() => failed.abort());
    try {
      const [line] = await once(status, "line", { signal: failed.signal });
      this.#keeperPid = Number(JSON.parse(line)["child-pid"]);
    } catch (cause) {
      throw new Error(`The sandbox does not start: ${complaint.trim() || "the launcher said nothing"}`, { cause });
    } finally {
      this.stderr.off("data", collect);
      this.stderr.pause();
    }
  }
}

/** Before bubblewrap has told its child's pid, that child may still wait for it, and would for ever. */
function killTree(child: ChildProcess): void {
  if (child.pid === undefined) return;
  const children = readFileSync(`/proc/${child.pid}/task/${child.pid}/children`, "utf8").split(" ").filter(Boolean);
  for (const pid of [child.pid, ...children.map(Number)]) process.kill(pid, "SIGKILL");
}

function pipeOf<Stream>(child: ChildProcess, descriptor: number): Stream {
  return child.stdio[descriptor] as Stream;
}

/** bubblewrap ends with the keeper's code, or 128 and the signal that ended it, as shells do. */
function exitOf(code: number | null, signal: NodeJS.Signals | null): SandboxExit {
  if (code === null || code <= 128) return { code, signal };
  const name = Object.entries(constants.signals).find(([, number]) => number === code - 128)?.[0];
  return name ? { code: null, signal: name as NodeJS.Signals } : { code, signal };
}
