/** Owns questions to the interpreter that do not change its state: completion, and whether code is complete. */
import type { z } from "zod";
import type { Completeness, Completions } from "../../src/protocol/server-message.ts";
import type { VariableList } from "../../src/protocol/session-resource.ts";
import type { Live } from "../interpreter/live.ts";
import { SessionError } from "./session-error.ts";
import type { SessionSettings } from "./session-options.ts";
import type { Recovery } from "./state/recovery.ts";
import type { TurnQueue } from "./turn-queue.ts";

/** How many questions may wait at a time. An editor asks one and forgets the one before. */
const MAX_WAITING = 16;

export class Questions {
  readonly #settings: SessionSettings;
  readonly #queue: TurnQueue;
  readonly #recovery: Recovery;
  #waiting = 0;

  constructor(settings: SessionSettings, queue: TurnQueue, recovery: Recovery) {
    this.#settings = settings;
    this.#queue = queue;
    this.#recovery = recovery;
  }

  /** @throws SessionError `deadline`, `interpreter_died`, `ended`, `queue_full`, `payload_too_large`. */
  async complete(code: string, cursor: number): Promise<z.infer<typeof Completions>> {
    const answer = await this.#ask(code, (live, deadlineMs) => live.complete(code, cursor, deadlineMs));
    return { matches: answer.matches, cursor_start: answer.cursor_start, cursor_end: answer.cursor_end };
  }

  /** @throws SessionError `deadline`, `interpreter_died`, `ended`, `queue_full`, `payload_too_large`. */
  async isComplete(code: string): Promise<z.infer<typeof Completeness>> {
    const { status, indent } = await this.#ask(code, (live, deadlineMs) => live.isComplete(code, deadlineMs));
    return indent === undefined ? { status } : { status, indent };
  }

  /** @throws SessionError `deadline`, `ended`, `queue_full`. */
  async variables(): Promise<VariableList> {
    const { variables, truncated } = await this.#ask("", (live, deadlineMs) => live.variables(deadlineMs));
    return { variables, truncated };
  }

  async #ask<T>(code: string, question: (live: Live, deadlineMs: number) => Promise<T>): Promise<T> {
    const { codeMaxBytes, completionWaitMs, completionAnswerMs } = this.#settings;
    if (Buffer.byteLength(code) > codeMaxBytes) {
      throw new SessionError("payload_too_large", `code may have at most ${codeMaxBytes} bytes`);
    }
    if (this.#waiting >= MAX_WAITING) throw new SessionError("queue_full", `${MAX_WAITING} questions are waiting`);
    const ask = async () => {
      await this.#recovery.ensureLive("the interpreter had ended");
      const { interpreter } = this.#recovery;
      const { live } = interpreter;
      if (!live) throw new SessionError("interpreter_failed", "there is no interpreter");
      try {
        return await question(live, completionAnswerMs);
      } catch (cause) {
        if (!live.isConnected) throw new SessionError("interpreter_died", (cause as Error).message, { cause });
        // The question may run user code that hangs, such as an object's `__dir__`.
        interpreter.killLive();
        throw new SessionError("deadline", (cause as Error).message, { cause });
      }
    };
    this.#waiting += 1;
    try {
      return await this.#queue.run(ask, { waitMs: completionWaitMs });
    } finally {
      this.#waiting -= 1;
    }
  }
}
