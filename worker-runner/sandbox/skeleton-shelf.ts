/** Owns the skeletons that are made ahead of need, so that a burst of new sessions finds sandboxes that are ready. */
import { randomUUID } from "node:crypto";
import { chownSync, existsSync, renameSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { join } from "node:path";
import { tempFolderPrefix } from "../temp-folder.ts";
import { startSkeleton } from "./bubblewrap.ts";
import { endSkeleton, type Skeleton } from "./forked-keeper.ts";
import { CHANNEL_SOCKET_NAME, EGRESS_SOCKET_NAME, type SandboxOptions } from "./sandbox-contract.ts";

/** A skeleton is made once no session was started for this long: making it competes with them for the processor. */
const QUIET_MS = 500;

interface Shelved {
  skeleton: Skeleton;
  /** The kind of sandbox that it is. */
  kind: string;
}

export class SkeletonShelf {
  readonly #size: number;
  #ready: Shelved[] = [];
  /** The kind of the next skeletons: that of the latest sandbox. */
  #wanted: SandboxOptions | null = null;
  #timer: NodeJS.Timeout | undefined;
  #filling: Promise<void> = Promise.resolve();
  #isClosed = false;

  /** @param size how many are kept ready. */
  constructor(size: number) {
    this.#size = size;
  }

  get count(): number {
    return this.#ready.length;
  }

  /** A skeleton for this sandbox, which is made now if none is ready. @throws Error as `startSkeleton`. */
  async take(options: SandboxOptions): Promise<Skeleton> {
    const skeleton = this.#takeReady(options);
    this.#plan(options);
    if (skeleton === null) return startSkeleton(options);
    try {
      moveSockets(options.channelDirectory, skeleton);
      return skeleton;
    } catch {
      // The two folders are on different file systems.
      await endSkeleton(skeleton);
      return startSkeleton(options);
    }
  }

  /** Ends those that nobody has taken. */
  async close(): Promise<void> {
    this.#isClosed = true;
    clearTimeout(this.#timer);
    await this.#filling;
    await Promise.all(this.#ready.splice(0).map(({ skeleton }) => endSkeleton(skeleton)));
  }

  #takeReady(options: SandboxOptions): Skeleton | null {
    const kind = kindOf(options);
    const index = this.#ready.findIndex((each) => each.kind === kind && !each.skeleton.sandbox.hasExited);
    return index < 0 ? null : (this.#ready.splice(index, 1)[0]?.skeleton ?? null);
  }

  #plan(options: SandboxOptions): void {
    if (this.#size === 0 || this.#isClosed || options.workspaceDirectory !== null) return;
    this.#wanted = options;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      this.#filling = this.#fill();
    }, QUIET_MS);
  }

  /** Makes one after the other, until there are enough or another session starts. */
  async #fill(): Promise<void> {
    const wanted = this.#wanted;
    if (wanted === null) return;
    const kind = kindOf(wanted);
    this.#wanted = null;
    await this.#dropUseless(kind);
    while (this.#ready.length < this.#size && this.#wanted === null && !this.#isClosed) {
      try {
        this.#ready.push({ skeleton: await makeAhead(wanted), kind });
      } catch {
        // The next session tells why a sandbox does not start.
        return;
      }
    }
  }

  async #dropUseless(kind: string): Promise<void> {
    const isUseless = (each: Shelved) => each.kind !== kind || each.skeleton.sandbox.hasExited;
    const useless = this.#ready.filter(isUseless);
    this.#ready = this.#ready.filter((each) => !isUseless(each));
    await Promise.all(useless.map(({ skeleton }) => endSkeleton(skeleton)));
  }
}

/** Sandboxes of one kind differ only in the session's name, its channel, and the arguments of its Python. */
function kindOf({ python, limits, network }: SandboxOptions): string {
  return JSON.stringify([python, limits, network]);
}

async function makeAhead(options: SandboxOptions): Promise<Skeleton> {
  const channelDirectory = await mkdtemp(tempFolderPrefix("skeleton"));
  try {
    const skeleton = await startSkeleton({ ...options, id: `ahead-${randomUUID()}`, channelDirectory });
    return { ...skeleton, ownDirectory: channelDirectory };
  } catch (error) {
    await rm(channelDirectory, { recursive: true, force: true });
    throw error;
  }
}

/** The session's sockets appear in the folder that the sandbox has as its channel. */
function moveSockets(from: string, { ownDirectory, uid }: Skeleton): void {
  if (ownDirectory === null) return;
  for (const name of [CHANNEL_SOCKET_NAME, EGRESS_SOCKET_NAME]) {
    const socket = join(from, name);
    if (!existsSync(socket)) continue;
    if (uid !== null) chownSync(socket, uid, uid);
    renameSync(socket, join(ownDirectory, name));
  }
}
