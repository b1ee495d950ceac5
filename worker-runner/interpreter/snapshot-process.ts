/** Owns one frozen copy of an interpreter: it can be asked for a new live process or a blob, and is let go by disconnecting. */

import type { Connection } from "../channel/connection.ts";
import type { Guest } from "../channel/door.ts";
import { ChannelViolation } from "../channel.ts";

export class SnapshotProcess {
  readonly pid: number;
  /** Names of user threads that it lacks. */
  threads: readonly string[] = [];
  /** Seconds for which the live process was busy with it. */
  pause = 0;
  readonly #connection: Connection;
  #isAlive = true;

  constructor(guest: Guest, onEnd: (snapshot: SnapshotProcess) => void) {
    this.pid = guest.hello.pid;
    this.#connection = guest.connection;
    guest.connection.adopt(
      () => {
        throw new ChannelViolation("a snapshot says nothing after its hello");
      },
      () => {
        this.#isAlive = false;
        onEnd(this);
      },
      0,
    );
  }

  get isAlive(): boolean {
    return this.#isAlive;
  }

  /** What the live process said about it, which may come before or after its hello. */
  describe(threads: readonly string[], pause: number): void {
    this.threads = threads;
    this.pause = pause;
  }

  spawn(token: string): void {
    this.#connection.send({ type: "spawn", token });
  }

  serialize(id: string, token: string, maxBlobBytes: number, maxWorkspaceBytes: number): void {
    this.#connection.send({
      type: "serialize",
      id,
      token,
      max_blob_bytes: maxBlobBytes,
      max_workspace_bytes: maxWorkspaceBytes,
    });
  }

  /** Lets it go: a process whose connection ends exits. */
  drop(): void {
    this.#isAlive = false;
    this.#connection.destroy();
  }
}
