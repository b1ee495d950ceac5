/** Owns the runner's end of one installer: its requests to the package index, and how the installation ended. */
import type { Connection } from "../channel/connection.ts";
import type { Peer } from "../channel/door.ts";
import { ChannelViolation, FrameKind, MAX_PIECE_BYTES } from "../channel/framing.ts";
import { InstallerMessage, type InstallStatus, type MessageOfInstaller } from "../channel/message.ts";
import { parseMessage } from "../channel/parse-message.ts";
import type { PackageIndex } from "./package-index.ts";
import { Unanswered } from "./pending-answers.ts";

/** A thousand requirements of a thousand characters. */
const MAX_MESSAGE_BYTES = 2 * 1024 * 1024;

export interface InstallRequest {
  /** Arguments of `pip install`. */
  arguments: readonly string[];
  /** Where relative paths begin, inside the sandbox. */
  cwd: string;
  /** What pip prints belongs to no execution, so it is dropped. */
  isQuiet: boolean;
}

export interface InstallOutcome {
  status: InstallStatus;
  /** Why it failed. */
  detail: string;
}

export class Installer {
  readonly pid: number;
  /** Rejects if the installer ends early or breaks a rule. */
  readonly done: Promise<MessageOfInstaller<"installed">>;
  readonly #connection: Connection;
  readonly #index: PackageIndex;
  readonly #ended = new AbortController();
  #isAsking = false;
  /** The index has not answered: the installer need not wait for it again. */
  #problem: string | null = null;
  #resolve: (message: MessageOfInstaller<"installed">) => void = () => undefined;

  constructor(peer: Peer, index: PackageIndex) {
    this.pid = peer.hello.pid;
    this.#connection = peer.connection;
    this.#index = index;
    this.done = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      const end = (cause: Error | null) => {
        this.#ended.abort();
        reject(cause ?? new Unanswered("the installer ended early"));
      };
      peer.connection.adopt((kind, payload) => this.#take(kind, payload), end, MAX_MESSAGE_BYTES);
    });
    this.done.catch(() => undefined);
  }

  /** Ends the connection; a request to the index that is open is given up. */
  disconnect(): void {
    this.#connection.destroy();
  }

  #take(kind: number, payload: Buffer): void {
    if (kind !== FrameKind.json) throw new ChannelViolation("an installer sent output");
    const message = parseMessage(InstallerMessage, payload);
    if (message.type === "installed") {
      this.#resolve(message);
      return;
    }
    if (this.#isAsking) throw new ChannelViolation("an installer sent a request before the answer to its last one");
    this.#isAsking = true;
    void this.#answer(message).finally(() => {
      this.#isAsking = false;
    });
  }

  async #answer(request: MessageOfInstaller<"fetch">): Promise<void> {
    const connection = this.#connection;
    if (this.#problem !== null) {
      connection.send({ type: "response", status: 504, headers: { "content-length": "0" }, problem: this.#problem });
      await this.#endAnswer();
      return;
    }
    const { status, headers, problem, body } = await this.#index.ask(request, this.#ended.signal);
    if (status === 504 || status === 502) this.#problem = problem;
    connection.send({ type: "response", status, headers, ...(problem === null ? {} : { problem }) });
    try {
      for await (const chunk of body) {
        for (let at = 0; at < chunk.byteLength; at += MAX_PIECE_BYTES) {
          await connection.sendPiece(chunk.subarray(at, at + MAX_PIECE_BYTES));
        }
      }
    } catch (error) {
      connection.send({ type: "broken", problem: (error as Error).message });
      return;
    }
    await this.#endAnswer();
  }

  /** The next request may come before the sending is told to be done, so it is allowed before. */
  async #endAnswer(): Promise<void> {
    this.#isAsking = false;
    await this.#connection.sendPiece(new Uint8Array(0));
  }
}
