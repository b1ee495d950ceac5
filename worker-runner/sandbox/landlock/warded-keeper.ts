/** Owns a keeper under Landlock's rules, from its start to the removal of its last process and file. */
import type { Readable, Writable } from "node:stream";
import type { SessionGroup } from "../cgroup.ts";
import { exitOf } from "../keeper-process.ts";
import { killTree, memoryWithoutGroup, sendSignal } from "../process-tree.ts";
import type { Sandbox, SandboxExit, SandboxMemory } from "../sandbox-contract.ts";
import { killUser } from "./kill-user.ts";
import type { WardenProcess } from "./warden-process.ts";

/** A warden ends its session's processes at once; it may have to wait for the kernel to let go of their memory. */
const END_DEADLINE_MS = 10_000;

/** What `rendezvous.py` takes for "ask the warden". */
export const WARDEN_CHANNEL = "warden:";

export interface Ward {
  warden: WardenProcess;
  group: SessionGroup | null;
  memoryBytes: number;
  /** The session's own user, or null. */
  uid: number | null;
  /** Removes what the start made outside, after the last process. */
  tidy(): Promise<void>;
}

export class WardedKeeper implements Sandbox {
  readonly exited: Promise<SandboxExit>;
  readonly channelPath = WARDEN_CHANNEL;
  readonly isPidOne = false;
  readonly #ward: Ward;
  readonly #lastMemory: Promise<SandboxMemory>;
  #hasExited = false;
  #cleared: Promise<void> | null = null;

  constructor(ward: Ward) {
    this.#ward = ward;
    this.exited = ward.warden.exited.then(({ code, signal }) => {
      this.#hasExited = true;
      // A warden that exits has ended every process; a killed warden has not.
      if (signal !== null && ward.uid !== null) killUser(ward.uid);
      return exitOf(code, signal);
    });
    // The listener may ask for the reason of the end after the group is gone.
    this.#lastMemory = this.exited.then(() => this.#readMemory());
    void this.#lastMemory.then(() => this.kill());
  }

  get pid(): number {
    return this.#ward.warden.pid;
  }

  get stdin(): Writable {
    return this.#ward.warden.stdin;
  }

  get stderr(): Readable {
    return this.#ward.warden.stderr;
  }

  async memoryStatus(): Promise<SandboxMemory> {
    return this.#hasExited ? this.#lastMemory : this.#readMemory();
  }

  kill(): Promise<void> {
    this.#cleared ??= this.#clear();
    return this.#cleared;
  }

  async #clear(): Promise<void> {
    if (!this.#hasExited) sendSignal(this.pid, "SIGTERM");
    const late = setTimeout(() => killTree(this.pid), END_DEADLINE_MS);
    await this.#lastMemory;
    clearTimeout(late);
    await this.#ward.group?.remove();
    await this.#ward.tidy();
  }

  async #readMemory(): Promise<SandboxMemory> {
    const { group, memoryBytes } = this.#ward;
    if (group) return group.memoryStatus();
    return memoryWithoutGroup(this.pid, memoryBytes);
  }
}
