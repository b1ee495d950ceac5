/** Owns how many calls on files a session makes at a time, and that they find an interpreter. */
import type { FileProcess } from "../interpreter/file-process.ts";
import { SessionError } from "./session-error.ts";
import type { Recovery } from "./state/recovery.ts";
import type { TurnQueue } from "./turn-queue.ts";

/** Each call has a process in the sandbox, which allows a limited number of them. */
const MAX_AT_ONCE = 8;
const MAX_WAITING = 64;
const WAIT_MS = 30_000;

export class Files {
  readonly #queue: TurnQueue;
  readonly #recovery: Recovery;
  #open = 0;
  readonly #waiting: (() => void)[] = [];

  constructor(queue: TurnQueue, recovery: Recovery) {
    this.#queue = queue;
    this.#recovery = recovery;
  }

  /**
   * Starts a process for one call on files. The caller must close it.
   *
   * @throws SessionError `queue_full`, `deadline`, `interpreter_died`, `ended`.
   */
  async open(): Promise<FileProcess> {
    await this.#takePlace();
    try {
      const process = await this.#start();
      process.onClosed(() => this.#leavePlace());
      return process;
    } catch (cause) {
      this.#leavePlace();
      if (cause instanceof SessionError) throw cause;
      throw new SessionError("interpreter_died", (cause as Error).message, { cause });
    }
  }

  async #start(): Promise<FileProcess> {
    if (!this.#recovery.interpreter.isUsable) {
      // The sandbox has ended. A new one is started in the session's turn.
      await this.#queue.run(() => this.#recovery.ensureLive("the interpreter had ended"), { waitMs: WAIT_MS });
    }
    return this.#recovery.interpreter.openFiles();
  }

  async #takePlace(): Promise<void> {
    if (this.#open < MAX_AT_ONCE) {
      this.#open += 1;
      return;
    }
    if (this.#waiting.length >= MAX_WAITING) throw new SessionError("queue_full", "too many calls on files wait");
    await new Promise<void>((resolve, reject) => {
      const take = () => {
        clearTimeout(patience);
        resolve();
      };
      const patience = setTimeout(() => {
        this.#waiting.splice(this.#waiting.indexOf(take), 1);
        reject(new SessionError("deadline", `${MAX_AT_ONCE} other calls on files took too long`));
      }, WAIT_MS);
      this.#waiting.push(take);
    });
  }

  /** The next waiting call takes the place over. */
  #leavePlace(): void {
    const next = this.#waiting.shift();
    if (next) next();
    else this.#open -= 1;
  }
}
