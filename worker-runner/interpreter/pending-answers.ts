/** Owns the questions put to one process that have no answer yet; every one ends in an answer, a deadline or the process's end. */
import { ChannelViolation } from "../channel/framing.ts";

/** The process did not answer in time, or ended first. */
export class Unanswered extends Error {
  override readonly name = "Unanswered";
}

interface Question<Answer> {
  resolve(answer: Answer): void;
  reject(error: Error): void;
  deadline: NodeJS.Timeout;
}

export class PendingAnswers<Answer extends { id: string }> {
  readonly #questions = new Map<string, Question<Answer>>();
  /** Ids whose deadline has passed; an answer to one of them is late, and no fault. */
  readonly #late = new Set<string>();
  #last = 0;
  #end: Error | null = null;

  get count(): number {
    return this.#questions.size;
  }

  /** Puts a question: `send` gets the id that the answer must carry. Rejects with `Unanswered`. */
  ask(what: string, deadlineMs: number, send: (id: string) => void): Promise<Answer> {
    if (this.#end) return Promise.reject(this.#end);
    const id = String(++this.#last);
    return new Promise((resolve, reject) => {
      const expire = () => {
        if (!this.#questions.delete(id)) return;
        this.#late.add(id);
        reject(new Unanswered(`no answer to ${what} within ${deadlineMs} ms`));
      };
      // After a stall of our own the answer may have come, and wait to be read behind this timer.
      const deadline = setTimeout(() => setImmediate(expire), deadlineMs);
      this.#questions.set(id, { resolve, reject, deadline });
      send(id);
    });
  }

  /** @throws ChannelViolation for an answer that nobody waits for. */
  settle(answer: Answer): void {
    const question = this.#questions.get(answer.id);
    if (!question) {
      if (this.#late.delete(answer.id)) return;
      throw new ChannelViolation("an answer to no question");
    }
    this.#questions.delete(answer.id);
    clearTimeout(question.deadline);
    question.resolve(answer);
  }

  /** Every question open now or put later is rejected. */
  end(reason: string): void {
    this.#end ??= new Unanswered(reason);
    for (const question of this.#questions.values()) {
      clearTimeout(question.deadline);
      question.reject(this.#end);
    }
    this.#questions.clear();
  }
}
