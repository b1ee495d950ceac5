/** Owns one frozen copy of an interpreter: asleep and without a connection until it is needed; it becomes live, is written to a blob, or is let go. */

import type { Connection } from "../channel/connection.ts";
import type { Guest } from "../channel/door.ts";
import { ChannelViolation } from "../channel/framing.ts";

/** What a copy needs of the sandbox that it is in. */
export interface SnapshotHost {
  /** Has the keeper wake it, and resolves once it has come to `adopt`. @throws where it does not come. */
  wake(snapshot: Snapshot): Promise<void>;
  /** Nobody needs it any more: it is to be ended. */
  dropped(snapshot: Snapshot): void;
  /** It has ended by itself. */
  ended(snapshot: Snapshot): void;
}

export class Snapshot {
  readonly #host: SnapshotHost;
  /** Names of user threads that it lacks. */
  readonly threads: readonly string[];
  /** Seconds for which the live process was busy with it. */
  readonly pause: number;
  #pid: number;
  #token: string;
  #connection: Connection | null = null;
  #waking: Promise<void> | null = null;
  #isAlive = true;

  constructor(host: SnapshotHost, pid: number, token: string, threads: readonly string[], pause: number) {
    this.#host = host;
    this.#pid = pid;
    this.#token = token;
    this.threads = threads;
    this.pause = pause;
  }

  get pid(): number {
    return this.#pid;
  }

  /** What it shows when it comes. */
  get token(): string {
    return this.#token;
  }

  get isAlive(): boolean {
    return this.#isAlive;
  }

  /** It has come. */
  adopt({ connection }: Guest): void {
    // It may have been let go while it woke up.
    if (!this.#isAlive) {
      connection.destroy();
      return;
    }
    this.#connection = connection;
    connection.adopt(
      () => {
        throw new ChannelViolation("a snapshot says nothing after its hello");
      },
      () => {
        if (this.#connection === connection) this.noteEnded();
      },
      0,
    );
  }

  /** Becomes the process that shows `token`; `moved` must be called with the pid of the copy that it leaves. */
  async spawn(token: string, nextToken: string): Promise<void> {
    const connection = await this.#awake();
    // It closes the connection when it goes.
    this.#connection = null;
    connection.send({ type: "spawn", token, snapshot_token: nextToken });
    this.#token = nextToken;
  }

  /** What it was runs now; it is another copy from here on, asleep again. */
  moved(pid: number): void {
    this.#pid = pid;
  }

  /** Has a process write it to a blob. */
  async serialize(id: string, token: string, maxBlobBytes: number, maxWorkspaceBytes: number): Promise<void> {
    (await this.#awake()).send({
      type: "serialize",
      id,
      token,
      max_blob_bytes: maxBlobBytes,
      max_workspace_bytes: maxWorkspaceBytes,
    });
  }

  /** Lets it go. */
  drop(): void {
    if (!this.#isAlive) return;
    this.#isAlive = false;
    const connection = this.#connection;
    this.#connection = null;
    connection?.destroy();
    this.#host.dropped(this);
  }

  /** It is gone, or cannot be trusted to be there. */
  noteEnded(): void {
    if (!this.#isAlive) return;
    this.#isAlive = false;
    this.#connection = null;
    this.#host.ended(this);
  }

  /** @throws Error where it does not come; it is then known to have ended. */
  async #awake(): Promise<Connection> {
    if (this.#connection === null) {
      this.#waking ??= this.#host.wake(this).finally(() => {
        this.#waking = null;
      });
      try {
        await this.#waking;
      } catch (error) {
        this.noteEnded();
        throw error;
      }
    }
    if (this.#connection === null) throw new Error("the copy has ended");
    return this.#connection;
  }
}
