/** Owns one session's control groups: their limits of memory and processor time, their usage, and their removal. */
import { closeSync, existsSync, mkdirSync, openSync, readFileSync, readSync, rmdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import type { ControlGroups } from "./cgroup-parents.ts";
import { sendSignal } from "./process-tree.ts";
import type { SandboxMemory } from "./sandbox-contract.ts";

/** The kernel lets go of a group some moments after its last process is gone. */
const REMOVE_ATTEMPTS = 50;
const REMOVE_PAUSE_MS = 10;
/** Buffers of all TCP sockets of one session, if they do not count as its memory. */
const TCP_BYTES = 16 * 1024 * 1024;
/** More than the longest of the kernel's files about a group has. */
const statusBuffer = Buffer.alloc(16 * 1024);

export class SessionGroup {
  readonly #groups: ControlGroups;
  readonly #directories: string[];
  readonly #memory: string;
  readonly #limitBytes: number;

  /** @throws Error where `id` is no name of a directory, or the group cannot be made. */
  constructor(groups: ControlGroups, id: string, memoryBytes: number) {
    if (!/^[A-Za-z0-9_-]{1,128}$/.test(id)) throw new Error(`not a name for a control group: ${id}`);
    this.#groups = groups;
    this.#memory = join(groups.memory, id);
    this.#limitBytes = memoryBytes;
    this.#directories = [...new Set([groups.memory, groups.cpu ?? groups.memory])].map((parent) => join(parent, id));
    for (const directory of this.#directories) makeGroup(directory, groups.mechanism);
    this.#limitMemory(memoryBytes);
  }

  /** Files that take in the process whose id is written to them, and all that it starts. */
  get entrances(): string[] {
    return this.#directories.map((directory) => join(directory, "cgroup.procs"));
  }

  async memoryStatus(): Promise<SandboxMemory> {
    const isFirst = this.#groups.mechanism === "cgroup-v1";
    const usage = this.#read(isFirst ? "memory.usage_in_bytes" : "memory.current");
    const statistics = this.#read("memory.stat");
    const events = this.#read(isFirst ? "memory.oom_control" : "memory.events");
    // Cached files that nobody maps are given back when memory is short.
    const cached = numberOf(isFirst ? "total_inactive_file" : "inactive_file", statistics);
    const residentBytes = Math.max(0, Number(usage) - cached);
    return {
      residentBytes,
      limitedBytes: residentBytes,
      limitBytes: this.#limitBytes,
      oomKills: numberOf("oom_kill", events),
    };
  }

  /** Ends whatever is still in it, which is nothing unless user code ran without a sandbox. */
  async remove(): Promise<void> {
    for (const directory of this.#directories) {
      await removeGroup(directory);
      removeIfEmpty(dirname(directory));
    }
  }

  /** The kernel makes the text at once, with no disk. Threads that read it would take ten times as many system calls. */
  #read(name: string): string {
    const file = openSync(join(this.#memory, name), "r");
    try {
      return statusBuffer.toString("latin1", 0, readSync(file, statusBuffer, 0, statusBuffer.length, 0));
    } finally {
      closeSync(file);
    }
  }

  #limitMemory(bytes: number): void {
    const set = (name: string, value: number) => writeFileSync(join(this.#memory, name), `${value}`);
    if (this.#groups.mechanism === "cgroup-v1") {
      set("memory.limit_in_bytes", bytes);
      // Memory and swap together; absent where the kernel does not account for swap.
      if (existsSync(join(this.#memory, "memory.memsw.limit_in_bytes"))) set("memory.memsw.limit_in_bytes", bytes);
      // Version 1 counts the buffers of TCP apart from other memory, and only once they have a limit.
      const tcpLimit = "memory.kmem.tcp.limit_in_bytes";
      if (existsSync(join(this.#memory, tcpLimit))) set(tcpLimit, Math.min(bytes, TCP_BYTES));
    } else {
      set("memory.max", bytes);
      if (existsSync(join(this.#memory, "memory.swap.max"))) set("memory.swap.max", 0);
    }
  }
}

/** The value of one line of the kernel's, which has a name and a number. */
function numberOf(name: string, lines: string): number {
  return Number(new RegExp(`^${name} (\\d+)$`, "m").exec(lines)?.[1] ?? 0);
}

function makeGroup(directory: string, mechanism: ControlGroups["mechanism"]): void {
  mkdirSync(directory, { recursive: true });
  if (mechanism === "cgroup-v2") writeFileSync(join(dirname(directory), "cgroup.subtree_control"), "+memory +cpu");
}

async function removeGroup(directory: string): Promise<void> {
  for (let attempt = 1; existsSync(directory); attempt += 1) {
    try {
      rmdirSync(directory);
    } catch (error) {
      if (attempt === REMOVE_ATTEMPTS) throw error;
      const pids = readFileSync(join(directory, "cgroup.procs"), "utf8").split("\n").filter(Boolean);
      for (const pid of pids) sendSignal(Number(pid), "SIGKILL");
      await delay(REMOVE_PAUSE_MS);
    }
  }
}

/** The runner's group goes with its last session's, so that nothing is left behind whenever the runner ends. */
function removeIfEmpty(directory: string): void {
  try {
    rmdirSync(directory);
  } catch {
    return; // Another session is still in it.
  }
}
