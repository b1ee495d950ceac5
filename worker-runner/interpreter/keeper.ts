/** Owns the runner's end of the keeper: signals, sweeps, and reports of ended processes. An invalid frame from it ends its sandbox. */
import type { Connection } from "../channel/connection.ts";
import type { Peer } from "../channel/door.ts";
import { ChannelViolation, FrameKind } from "../channel/framing.ts";
import { KeeperMessage, type PythonVersion } from "../channel/message.ts";
import { parseMessage } from "../channel/parse-message.ts";
import type { InstallerOrder } from "../channel/runner-message.ts";
import { type OutputPiece, readOutputFrame } from "./output-cursor.ts";
import { PendingAnswers, Unanswered } from "./pending-answers.ts";

/** A dead process leaves at most 64 KiB in the ring and in each pipe, but user code can enlarge a pipe to 1 MiB. */
const MAX_LEFTOVER_BYTES = 8 * 1024 * 1024;

/** How a process ended. */
export interface ProcessExit {
  code: number | null;
  signal: number | null;
  /** How many executions a live process had begun. */
  begun: number;
}

export interface RunningCode {
  /** Of the last execution. */
  noticedInterrupts: number;
  /** How many executions have begun. */
  begun: number;
  secondsSinceBegin: number;
}

export interface KeeperListener {
  onExited(pid: number, exit: ProcessExit, leftovers: OutputPiece[]): void;
  onEnded(violation: Error | null): void;
}

type KeeperAnswer = Extract<KeeperMessage, { id: string }>;

/** One megabyte of a dead process's output, with every byte escaped. */
const MAX_MESSAGE_BYTES = 8 * 1024 * 1024;

export class Keeper {
  readonly python: PythonVersion;
  readonly #connection: Connection;
  readonly #listener: KeeperListener;
  readonly #answers = new PendingAnswers<KeeperAnswer>();
  #leftovers: OutputPiece[] = [];
  #leftoverBytes = 0;

  /** @throws ChannelViolation if the hello does not name the version of Python. */
  constructor(peer: Peer, listener: KeeperListener) {
    if (!peer.hello.python) throw new ChannelViolation("the keeper does not name its Python");
    this.python = peer.hello.python;
    this.#connection = peer.connection;
    this.#listener = listener;
    peer.connection.adopt(
      (kind, payload) => this.#take(kind, payload),
      (cause) => {
        this.#answers.end("the keeper ended");
        this.#listener.onEnded(cause);
      },
      MAX_MESSAGE_BYTES,
    );
  }

  spawn(token: string): void {
    this.#connection.send({ type: "spawn", token });
  }

  /** Starts an installer, which connects with the token of its order. */
  install(request: InstallerOrder): void {
    this.#connection.send({ type: "install", id: "1", request });
  }

  /** Starts a process for one call on files, which connects with `token`. @returns its pid. @throws Unanswered if the sandbox allows no further process. */
  async spawnFiles(token: string, deadlineMs: number): Promise<number> {
    const answer = await this.#answers.ask("spawn_files", deadlineMs, (id) => {
      this.#connection.send({ type: "spawn_files", id, token });
    });
    if (answer.type === "files_spawned" && answer.pid !== null) return answer.pid;
    throw new Unanswered("the sandbox allows no further process");
  }

  /** @returns false if the process does not exist. */
  async signal(pid: number, signal: number, deadlineMs: number): Promise<boolean> {
    const answer = await this.#answers.ask("signal", deadlineMs, (id) => {
      this.#connection.send({ type: "signal", id, pid, signal });
    });
    return answer.type === "signalled" && answer.delivered;
  }

  /** The live process's own record of its executions. User code could forge it. */
  async interrupts(deadlineMs: number): Promise<RunningCode> {
    const answer = await this.#answers.ask("interrupts", deadlineMs, (id) => {
      this.#connection.send({ type: "interrupts", id });
    });
    if (answer.type !== "interrupts") return { noticedInterrupts: 0, begun: 0, secondsSinceBegin: 0 };
    return { noticedInterrupts: answer.count, begun: answer.begun, secondsSinceBegin: answer.seconds_since_begin };
  }

  /** Ends every process of the sandbox except `keep`. When it resolves, each of their ends was reported. */
  async sweep(keep: number[], deadlineMs: number): Promise<void> {
    await this.#answers.ask("sweep", deadlineMs, (id) => {
      this.#connection.send({ type: "sweep", id, keep });
    });
  }

  disconnect(): void {
    this.#connection.destroy();
  }

  #take(kind: number, payload: Buffer): void {
    if (kind === FrameKind.output) {
      this.#keepLeftover(readOutputFrame(payload), payload.length);
      return;
    }
    if (kind !== FrameKind.json) throw new ChannelViolation("a keeper sent a blob");
    const message = parseMessage(KeeperMessage, payload);
    switch (message.type) {
      case "unsupported":
        throw new ChannelViolation(`the keeper does not know the message ${message.message_type}`);
      case "output":
        this.#keepLeftover({ offset: message.offset, stream: message.stream, text: message.data }, payload.length);
        return;
      case "exited": {
        const leftovers = this.#leftovers;
        this.#leftovers = [];
        this.#leftoverBytes = 0;
        const { code, signal, begun } = message;
        this.#listener.onExited(message.pid, { code, signal, begun }, leftovers);
        return;
      }
      case "signalled":
      case "swept":
      case "interrupts":
      case "files_spawned":
        this.#answers.settle(message);
        return;
      default:
        message satisfies never;
    }
  }

  #keepLeftover(piece: OutputPiece, bytes: number): void {
    this.#leftoverBytes += bytes;
    if (this.#leftoverBytes > MAX_LEFTOVER_BYTES) throw new ChannelViolation("too much output of a dead process");
    this.#leftovers.push(piece);
  }
}
