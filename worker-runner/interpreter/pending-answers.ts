/** Owns the unanswered questions to one process. Each one ends with an answer, at its deadline, or at the process's end. */
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
  /** Ids of questions whose deadline has passed. A late answer to one of them is not an error. */
  readonly #late = new Set<string>();
  #last = 0;
  #end: Error | null = null;

  get count(): number {
    return this.#questions.size;
  }

  /** Asks a question: `send` gets the id that the answer must have. Rejects with `Unanswered`. */
  ask(what: string, deadlineMs: number, send: (id: string) => void): Promise<Answer> {
    if (this.#end) return Promise.reject(this.#end);
    const id = String(++this.#last);
    return new Promise((resolve, reject) => {
      const expire = () => {
        if (!this.#questions.delete(id)) return;
        this.#late.add(id);
        reject(new Unanswered(`no answer to ${what} within ${deadlineMs} ms`));
      };
      // If this process was stalled, the answer may have arrived but not been read. It is read before `setImmediate` runs.
      const deadline = setTimeout(() => setImmediate(expire), deadlineMs);
      this.#questions.set(id, { resolve, reject, deadline });
      send(id);
    });
  }

  /** @throws ChannelViolation if the answer belongs to no question. */
  settle(answer: Answer): void {
    const question = this.#questions.get(answer.id);
    if (!question) {
      if (this.#late.delete(answer.id)) return;
      throw new ChannelViolation("an answer without a question");
    }
    this.#questions.delete(answer.id);
    clearTimeout(question.deadline);
    question.resolve(answer);
  }

  /** Rejects every open question and every later one. */
  end(reason: string): void {
    this.#end ??= new Unanswered(reason);
    for (const question of this.#questions.values()) {
      clearTimeout(question.deadline);
      question.reject(this.#end);
    }
    this.#questions.clear();
  }
}
