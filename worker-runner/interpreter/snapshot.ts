/** Owns one frozen copy of an interpreter. It sleeps without a connection until it becomes live, is written to a blob, or is dropped. */
import type { Connection } from "../channel/connection.ts";
import type { Peer } from "../channel/door.ts";
import { ChannelViolation } from "../channel/framing.ts";
import type { MessageOf } from "../channel/message.ts";

/** The interpreter that the copy belongs to. */
export interface SnapshotHost {
  /** Wakes the copy, and resolves once its connection was passed to `adopt`. @throws Error if it does not connect. */
  wake(snapshot: Snapshot): Promise<void>;
  /** Nobody needs the copy any more, so it has to be ended. */
  onDropped(snapshot: Snapshot): void;
  /** The copy has died. */
  onEnded(snapshot: Snapshot): void;
}

/** What the live process reports about a copy. */
type SnapshotTaken = Pick<MessageOf<"snapshot_taken">, "threads" | "pause" | "rehearsal">;

export class Snapshot {
  readonly #host: SnapshotHost;
  /** Names of the user threads that the copy lacks. */
  readonly threads: readonly string[];
  /** Seconds for which the live process was busy with making the copy. */
  readonly pause: number;
  /** Seconds that a copy costs the live process: the pause, and the page faults after it. */
  readonly cost: number;
  #pid: number;
  #token: string;
  #connection: Connection | null = null;
  #waking: Promise<void> | null = null;
  #isAlive = true;

  constructor(host: SnapshotHost, pid: number, token: string, taken: SnapshotTaken) {
    this.#host = host;
    this.#pid = pid;
    this.#token = token;
    this.threads = taken.threads;
    this.pause = taken.pause;
    this.cost = taken.pause + (taken.rehearsal ?? 0);
  }

  get pid(): number {
    return this.#pid;
  }

  /** The token that the copy sends when it connects. */
  get token(): string {
    return this.#token;
  }

  get isAlive(): boolean {
    return this.#isAlive;
  }

  /** The copy has connected. */
  adopt({ connection }: Peer): void {
    // The copy may have been dropped while it woke up.
    if (!this.#isAlive) {
      connection.destroy();
      return;
    }
    this.#connection = connection;
    connection.adopt(
      () => {
        throw new ChannelViolation("a snapshot sent a message after its hello");
      },
      () => {
        if (this.#connection === connection) this.noteEnded();
      },
      0,
    );
  }

  /** Turns the copy into the live process with `token`. It leaves another copy behind; the caller must pass its pid to `onMoved`. */
  async spawn(token: string, nextToken: string): Promise<void> {
    const connection = await this.#awake();
    // The process closes this connection itself.
    this.#connection = null;
    connection.send({ type: "spawn", token, snapshot_token: nextToken });
    this.#token = nextToken;
  }

  /** The old copy has become the live process. From now on this object stands for the new copy, `pid`. */
  onMoved(pid: number): void {
    this.#pid = pid;
  }

  /** Makes a process, the serializer, write the copy to a blob. */
  async serialize(id: string, token: string, maxBlobBytes: number, maxWorkspaceBytes: number): Promise<void> {
    (await this.#awake()).send({
      type: "serialize",
      id,
      token,
      max_blob_bytes: maxBlobBytes,
      max_workspace_bytes: maxWorkspaceBytes,
    });
  }

  /** The copy is not needed any more. */
  drop(): void {
    if (!this.#isAlive) return;
    this.#isAlive = false;
    const connection = this.#connection;
    this.#connection = null;
    connection?.destroy();
    this.#host.onDropped(this);
  }

  /** The copy has died, or may have. */
  noteEnded(): void {
    if (!this.#isAlive) return;
    this.#isAlive = false;
    this.#connection = null;
    this.#host.onEnded(this);
  }

  /** @throws Error if the copy does not connect. It then counts as ended. */
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
