/** Owns a launched keeper from its start to the removal of its last process. The caller chooses the launcher and the confinement. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import type { Duplex, Readable, Writable } from "node:stream";
import type { SessionGroup } from "./cgroup.ts";
import { FILTER_FD, NETWORK_FD, STATUS_FD } from "./descriptors.ts";
import { killTree, memoryWithoutGroup, sendSignal } from "./process-tree.ts";
import type { Sandbox, SandboxExit, SandboxMemory } from "./sandbox-contract.ts";
import { signalName } from "./signal-name.ts";
import { markForSweeper } from "./sweeper.ts";

export interface KeeperLaunch {
  command: string;
  args: readonly string[];
  env: Readonly<Record<string, string>>;
  channelPath: string;
  /** What keeps the keeper in, if anything does. */
  bubblewrap: {
    /** The seccomp program. */
    filter: Buffer;
    /** Gives the keeper's namespaces a network, before user code can run; the result takes it away. */
    connect: ((pid: number) => Promise<() => void>) | null;
    /** Whether the process in the sandbox goes on waiting after that, until its end. */
    isSkeleton: boolean;
  } | null;
  group: SessionGroup | null;
  memoryBytes: number;
  /** Removes what the launch made outside, after the last process. */
  tidy(): Promise<void> | void;
}

export class KeeperProcess implements Sandbox {
  readonly stdin: Writable;
  readonly stderr: Readable;
  readonly exited: Promise<SandboxExit>;
  readonly #launch: KeeperLaunch;
  readonly #child: ChildProcess;
  readonly #lastMemory: Promise<SandboxMemory>;
  #pid = 0;
  #disconnect: (() => void) | null = null;
  #hasExited = false;
  /** Another process has joined the namespaces and the groups, so the sandbox goes on without the launched one. */
  #isRetired = false;
  #cleared: Promise<void> | null = null;

  /** @throws Error with the launcher's own words. */
  static async start(launch: KeeperLaunch): Promise<KeeperProcess> {
    const keeper = new KeeperProcess(launch);
    try {
      await keeper.#begun();
      return keeper;
    } catch (error) {
      await keeper.kill();
      throw error;
    }
  }

  private constructor(launch: KeeperLaunch) {
    this.#launch = launch;
    const child = spawn(launch.command, launch.args, {
      cwd: "/",
      env: { ...launch.env, ...markForSweeper() },
      detached: true,
      stdio: descriptorsOf(launch),
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
    // The listener may ask for the reason of the end after the group is gone.
    this.#lastMemory = this.exited.then(() => this.#readMemory());
    void this.#lastMemory.then(() => {
      if (!this.#isRetired) void this.kill();
    });
    this.stdin.on("error", ignoreBrokenPipe);
  }

  get channelPath(): string {
    return this.#launch.channelPath;
  }

  get isPidOne(): boolean {
    return this.#launch.bubblewrap !== null;
  }

  get pid(): number {
    return this.#pid;
  }

  /** Whether the launched process has ended. */
  get hasExited(): boolean {
    return this.#hasExited;
  }

  async memoryStatus(): Promise<SandboxMemory> {
    if (this.#isRetired) return this.#readMemory();
    if (this.#hasExited) return this.#lastMemory;
    try {
      return await this.#readMemory();
    } catch (error) {
      // It ended meanwhile, and the group with it.
      if (this.#hasExited) return this.#lastMemory;
      throw error;
    }
  }

  /** Ends the launched processes only. The groups and the user stay until `kill`, for the process that has joined them. */
  retire(): void {
    this.#isRetired = true;
    if (!this.#hasExited) this.#end();
  }

  kill(): Promise<void> {
    this.#cleared ??= this.#clear();
    return this.#cleared;
  }

  async #readMemory(): Promise<SandboxMemory> {
    const { group, memoryBytes } = this.#launch;
    if (group) return group.memoryStatus();
    return memoryWithoutGroup(this.#pid, memoryBytes);
  }

  async #clear(): Promise<void> {
    if (!this.#hasExited) this.#end();
    await this.#lastMemory;
    this.#disconnect?.();
    await this.#launch.group?.remove();
    await this.#launch.tidy();
  }

  #end(): void {
    if (this.#child.pid === undefined) return;
    // The end of a pid 1 is reported only once the kernel has ended everything else in its namespace; the end of bubblewrap, which
    // waits for it, is therefore the end of all. Before bubblewrap has told that pid, its child may still wait for it, for ever.
    if (this.isPidOne && this.#pid) sendSignal(this.#pid, "SIGKILL");
    else killTree(this.#child.pid);
  }

  async #begun(): Promise<void> {
    const { bubblewrap } = this.#launch;
    if (this.#child.pid === undefined) throw new Error(`The sandbox does not start: no ${this.#launch.command} here`);
    if (!bubblewrap) {
      this.#pid = this.#child.pid;
      return;
    }
    const filter = pipeOf<Writable>(this.#child, FILTER_FD);
    filter.on("error", ignoreBrokenPipe);
    filter.end(bubblewrap.filter);
    await this.#unlessItEnds(async (ended) => {
      this.#pid = await this.#reportedPid(ended);
      if (bubblewrap.connect) await this.#join(bubblewrap.connect, bubblewrap.isSkeleton, ended);
    });
  }

  async #join(connect: (pid: number) => Promise<() => void>, isSkeleton: boolean, ended: AbortSignal): Promise<void> {
    const waiting = pipeOf<Duplex>(this.#child, NETWORK_FD);
    waiting.on("error", ignoreBrokenPipe);
    // bubblewrap sets up its own part of the network first.
    await once(waiting, "data", { signal: ended });
    this.#disconnect = await connect(this.#pid);
    if (!isSkeleton) waiting.end("\n");
  }

  /** Waits until bubblewrap names the keeper's pid. */
  async #reportedPid(signal: AbortSignal): Promise<number> {
    const status = createInterface(pipeOf<Readable>(this.#child, STATUS_FD));
    const [line] = await once(status, "line", { signal });
    return Number(JSON.parse(line)["child-pid"]);
  }

  /** @throws Error with the launcher's standard error, if the launcher ends first. */
  async #unlessItEnds(begin: (ended: AbortSignal) => Promise<void>): Promise<void> {
    let complaint = "";
    const collect = (text: Buffer) => {
      complaint += text.toString();
    };
    this.stderr.on("data", collect);
    const ended = new AbortController();
    this.stderr.once("close", () => ended.abort());
    try {
      await begin(ended.signal);
    } catch (cause) {
      const reason = ended.signal.aborted ? complaint.trim() || "the launcher said nothing" : (cause as Error).message;
      throw new Error(`The sandbox does not start: ${reason}`, { cause });
    } finally {
      this.stderr.off("data", collect);
      this.stderr.pause();
    }
  }
}

function descriptorsOf({ bubblewrap }: KeeperLaunch): ("pipe" | "ignore")[] {
  const filterAndStatus = bubblewrap ? (["pipe", "pipe"] as const) : [];
  return ["pipe", "ignore", "pipe", ...filterAndStatus, ...(bubblewrap?.connect ? (["pipe"] as const) : [])];
}

function pipeOf<Stream>(child: ChildProcess, descriptor: number): Stream {
  return child.stdio[descriptor] as Stream;
}

/** A launcher that is gone says why on standard error, or by its exit. */
function ignoreBrokenPipe(): void {
  return;
}

/** bubblewrap ends with the keeper's code, or 128 and the signal that ended it, as shells do. */
export function exitOf(code: number | null, signal: NodeJS.Signals | null): SandboxExit {
  if (code === null || code <= 128) return { code, signal };
  const name = signalName(code - 128);
  return name ? { code: null, signal: name } : { code, signal };
}
