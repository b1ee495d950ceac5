/** Owns one sandbox from its start to its removal: its directory outside, its socket, its keeper, and the reason why it ended. */
import { mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { Door, newToken, type Peer } from "../channel/door.ts";
import type { Hello } from "../channel/message.ts";
import { withDeadline } from "../deadline.ts";
import {
  CHANNEL_SOCKET_NAME,
  EGRESS_SOCKET_NAME,
  type Sandbox,
  type SandboxMemory,
} from "../sandbox/sandbox-contract.ts";
import type { EgressDoor, InterpreterOptions } from "./interpreter-options.ts";
import { Keeper, type KeeperListener } from "./keeper.ts";
import { Unanswered } from "./pending-answers.ts";

const STDERR_KEPT = 4_096;
/** `sun_path` of unix(7), without its NUL. */
const SOCKET_PATH_MAX = 107;

export interface SandboxRoomListener {
  onExited: KeeperListener["onExited"];
  /** The sandbox has ended. Not called after `close`. */
  onEnded(reason: string): void;
}

export class SandboxRoom {
  readonly #directory: string;
  readonly #options: InterpreterOptions;
  readonly #listener: SandboxRoomListener;
  readonly #gone = new AbortController();
  #door: Door | null = null;
  #egress: EgressDoor | null = null;
  #starting: Promise<Sandbox> | null = null;
  #sandbox: Sandbox | null = null;
  #keeper: Keeper | null = null;
  #stderr = "";
  #closing: Promise<void> | null = null;

  /** @param directory is made by `start` and removed by `close`. */
  constructor(directory: string, options: InterpreterOptions, listener: SandboxRoomListener) {
    this.#directory = directory;
    this.#options = options;
    this.#listener = listener;
  }

  /** @throws Error if the sandbox or its keeper does not start. */
  async start(): Promise<void> {
    const channelDirectory = join(this.#directory, "channel");
    await mkdir(channelDirectory, { recursive: true });
    const path = join(channelDirectory, CHANNEL_SOCKET_NAME);
    if (Buffer.byteLength(path) > SOCKET_PATH_MAX) throw new Error(`${path} is too long for a socket's path`);
    this.#door = await Door.open(path);
    this.#egress = (await this.#options.egress?.open(join(channelDirectory, EGRESS_SOCKET_NAME))) ?? null;
    const { startSandbox, sandbox: settings, startDeadlineMs } = this.#options;
    this.#gone.signal.throwIfAborted();
    this.#starting = startSandbox({ ...settings, id: this.#options.makeSandboxId(), channelDirectory });
    const sandbox = await this.#starting;
    this.#sandbox = sandbox;
    this.#gone.signal.throwIfAborted();
    sandbox.stderr.on("data", (chunk: Buffer) => {
      this.#stderr = (this.#stderr + chunk.toString()).slice(-STDERR_KEPT);
    });
    // If the keeper has exited already, `exited` says why.
    sandbox.stdin.on("error", () => undefined);
    void sandbox.exited.then(({ code, signal }) =>
      this.#noteEnd(`the sandbox ended (${signal ?? `exit code ${code}`})`),
    );
    this.#keeper = await this.admit(
      "keeper",
      (token) => sandbox.stdin.end(`${token}\n`),
      (peer) =>
        new Keeper(peer, {
          onExited: this.#listener.onExited,
          onEnded: (violation) => this.breakDown(violation?.message ?? "the keeper's connection ended"),
        }),
      startDeadlineMs,
    );
  }

  /** @throws Unanswered before the keeper has connected, and after the sandbox's end. */
  get keeper(): Keeper {
    if (!this.#keeper || !this.isUsable) throw new Unanswered("the sandbox has no keeper");
    return this.#keeper;
  }

  /** The last lines of the sandbox's standard error. */
  get complaint(): string {
    return this.#stderr.trim();
  }

  /** Fires once it has ended or is being ended. */
  get gone(): AbortSignal {
    return this.#gone.signal;
  }

  /** False once it has ended or is being ended. */
  get isUsable(): boolean {
    return !this.#gone.signal.aborted;
  }

  /**
   * Waits for a process of `role` to connect. `make` takes its connection over, in the same call that parsed its hello.
   *
   * @param send makes the process connect with the token.
   * @throws DeadlinePassed, Unanswered if the sandbox ends, or the error of `send`.
   */
  async admit<T>(
    role: Hello["role"],
    send: (token: string) => unknown,
    make: (peer: Peer) => T,
    deadlineMs: number = this.#options.answerDeadlineMs,
    token: string = newToken(),
  ): Promise<T> {
    const admitted = new Promise<T>((resolve) => {
      this.#door?.expect(token, role, (peer) => resolve(make(peer)));
    });
    try {
      this.#gone.signal.throwIfAborted();
      await send(token);
      return await withDeadline(admitted, `the ${role}'s hello`, deadlineMs, this.#gone.signal);
    } finally {
      this.#door?.revoke(token);
    }
  }

  async memoryStatus(): Promise<SandboxMemory> {
    return (
      (await this.#sandbox?.memoryStatus()) ?? {
        residentBytes: null,
        limitedBytes: null,
        limitBytes: null,
        oomKills: null,
      }
    );
  }

  /** The sandbox broke a rule or does not answer: ends every process in it. */
  breakDown(reason: string): void {
    if (!this.isUsable || !this.#sandbox) return;
    this.#gone.abort(new Unanswered(reason));
    void this.#sandbox.kill().then(() => this.#announceEnd(reason));
  }

  /** Ends every process of the sandbox and removes its files outside. Safe to call twice. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    this.#gone.abort(new Unanswered("the sandbox was closed"));
    await this.#endSandbox();
    this.#keeper?.disconnect();
    await this.#door?.close();
    await this.#egress?.close();
    // A process that is ending can add a file while the folder is emptied; `rm` then tries again.
    await rm(this.#directory, { recursive: true, force: true, maxRetries: 10 });
  }

  /** Also ends a sandbox that is still starting; it would otherwise outlive its session. */
  async #endSandbox(): Promise<void> {
    const { startDeadlineMs } = this.#options;
    const starting = this.#starting && withDeadline(this.#starting, "starting a sandbox", startDeadlineMs);
    const sandbox = await starting?.catch(() => null);
    await sandbox?.kill();
  }

  #noteEnd(reason: string): void {
    if (!this.isUsable) return;
    this.#gone.abort(new Unanswered(reason));
    this.#announceEnd(reason);
  }

  #announceEnd(reason: string): void {
    this.#keeper?.disconnect();
    if (!this.#closing) this.#listener.onEnded(reason);
  }
}
