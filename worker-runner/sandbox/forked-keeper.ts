/** Owns a keeper that was forked from a zygote into a skeleton, from its start to the removal of its last process. */
import { rm } from "node:fs/promises";
import type { Readable, Writable } from "node:stream";
import type { KeeperProcess } from "./keeper-process.ts";
import { memoryWithoutGroup, sendSignal } from "./process-tree.ts";
import type { Sandbox, SandboxExit, SandboxMemory } from "./sandbox-contract.ts";
import type { Entry, Forked, Zygote } from "./zygote.ts";

/** A sandbox that bubblewrap made, without a keeper in it. */
export interface Skeleton {
  /** bubblewrap and the process that keeps the namespaces. Its pipes are those of the keeper. */
  sandbox: KeeperProcess;
  /** Whether a control group counts the memory. */
  isMemoryCounted: boolean;
  entry: Entry;
  /** Whom the session runs as, or null for the runner's own user. */
  uid: number | null;
  /** The folder with the session's socket, if it was made for this skeleton; it is removed with it. */
  ownDirectory: string | null;
}

export class ForkedKeeper implements Sandbox {
  readonly exited: Promise<SandboxExit>;
  readonly #skeleton: Skeleton;
  readonly #forked: Forked;
  readonly #memoryBytes: number;
  readonly #lastMemory: Promise<SandboxMemory>;
  #hasExited = false;
  #cleared: Promise<void> | null = null;

  /** Takes over the skeleton. @throws Error with the step that the kernel refuses. */
  static async start(skeleton: Skeleton, zygote: Zygote, memoryBytes: number): Promise<Sandbox> {
    try {
      return new ForkedKeeper(skeleton, await zygote.fork(skeleton.entry), memoryBytes);
    } catch (error) {
      await endSkeleton(skeleton);
      throw error;
    }
  }

  private constructor(skeleton: Skeleton, forked: Forked, memoryBytes: number) {
    this.#skeleton = skeleton;
    this.#forked = forked;
    this.#memoryBytes = memoryBytes;
    this.exited = forked.exited.then((exit) => {
      this.#hasExited = true;
      return exit;
    });
    // The group of the session is gone when its memory is asked for after the end.
    this.#lastMemory = this.exited.then(() => this.#readMemory());
    void this.#lastMemory.then(() => this.kill());
    // The keeper holds the namespaces now. Node closes the pipe with the skeleton's process, so the token has to be in it before.
    skeleton.sandbox.stdin.once("finish", () => skeleton.sandbox.retire());
  }

  get stdin(): Writable {
    return this.#skeleton.sandbox.stdin;
  }

  get stderr(): Readable {
    return this.#skeleton.sandbox.stderr;
  }

  get channelPath(): string {
    return this.#skeleton.sandbox.channelPath;
  }

  get isPidOne(): boolean {
    return true;
  }

  get pid(): number {
    return this.#forked.pid;
  }

  async memoryStatus(): Promise<SandboxMemory> {
    return this.#hasExited ? this.#lastMemory : this.#readMemory();
  }

  kill(): Promise<void> {
    this.#cleared ??= this.#clear();
    return this.#cleared;
  }

  async #clear(): Promise<void> {
    // The end of a pid 1 is reported only once the kernel has ended everything else in its namespace.
    if (!this.#hasExited) sendSignal(this.pid, "SIGKILL");
    await this.#lastMemory;
    await endSkeleton(this.#skeleton);
  }

  async #readMemory(): Promise<SandboxMemory> {
    if (this.#skeleton.isMemoryCounted) return this.#skeleton.sandbox.memoryStatus();
    return memoryWithoutGroup(this.pid, this.#memoryBytes);
  }
}

/** Ends what is left of a skeleton and removes what was made for it. */
export async function endSkeleton({ sandbox, ownDirectory }: Skeleton): Promise<void> {
  await sandbox.kill();
  if (ownDirectory !== null) await rm(ownDirectory, { recursive: true, force: true });
}
