/** Owns what is asked of the interpreter between executions without changing its state: completion, and whether code is complete. */
import type { z } from "zod";
import type { Completeness, Completions } from "../../src/protocol/server-message.ts";
import type { Live } from "../interpreter/live.ts";
import { SessionError } from "./session-error.ts";
import type { Recovery } from "./state/recovery.ts";
import type { TurnQueue } from "./turn-queue.ts";

/** That wait at a time; an editor asks for one and forgets the one before. */
const MAX_WAITING = 16;

export interface QuestionsDuties {
  queue: TurnQueue;
  recovery: Recovery;
  /** How long a question waits for its turn. */
  waitMs: number;
  codeMaxBytes: number;
  /** How long it then waits for its answer. */
  answerMs: number;
  /** Sees to it that there is a live process. */
  revive(): Promise<void>;
}

export class Questions {
  readonly #duties: QuestionsDuties;
  #waiting = 0;

  constructor(duties: QuestionsDuties) {
    this.#duties = duties;
  }

  /** @throws SessionError `deadline`, `ended`, `queue_full`, `payload_too_large`. */
  async complete(code: string, cursor: number): Promise<z.infer<typeof Completions>> {
    const answer = await this.#ask(code, (live, deadlineMs) => live.complete(code, cursor, deadlineMs));
    return { matches: answer.matches, cursor_start: answer.cursor_start, cursor_end: answer.cursor_end };
  }

  /** @throws SessionError `deadline`, `ended`, `queue_full`, `payload_too_large`. */
  async isComplete(code: string): Promise<z.infer<typeof Completeness>> {
    const { status, indent } = await this.#ask(code, (live, deadlineMs) => live.isComplete(code, deadlineMs));
    return indent === undefined ? { status } : { status, indent };
  }

  async #ask<T>(code: string, question: (live: Live, deadlineMs: number) => Promise<T>): Promise<T> {
    const { queue, recovery, revive, waitMs, answerMs, codeMaxBytes } = this.#duties;
    if (Buffer.byteLength(code) > codeMaxBytes) {
      throw new SessionError("payload_too_large", `code may have ${codeMaxBytes} bytes`);
    }
    if (this.#waiting >= MAX_WAITING) throw new SessionError("queue_full", `${MAX_WAITING} questions are waiting`);
    const ask = async () => {
      await revive();
      const { live } = recovery.interpreter;
      if (!live) throw new SessionError("interpreter_failed", "there is no interpreter");
      try {
        return await question(live, answerMs);
      } catch (cause) {
        // It completes a name of an object whose `__dir__` hangs, or the like.
        recovery.interpreter.killLive();
        throw new SessionError("deadline", (cause as Error).message, { cause });
      }
    };
    this.#waiting += 1;
    try {
      return await queue.run(ask, { waitMs });
    } finally {
      this.#waiting -= 1;
    }
  }
}
