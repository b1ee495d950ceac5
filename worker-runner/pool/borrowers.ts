/** Owns the callers that wait for a session: first come, first served, each with a deadline and an optional abort signal. */
import { SessionError } from "../session/session-error.ts";

export interface AcquireOptions {
  signal?: AbortSignal;
  deadlineMs?: number;
  /** Waits as long for a lent session to be released as for one to be started. */
  isRoomComing?: boolean;
}

interface Borrower<T> {
  give(item: T): void;
  refuse(error: SessionError): void;
}

export class Borrowers<T> {
  readonly #waiting = new Set<Borrower<T>>();

  get count(): number {
    return this.#waiting.size;
  }

  /** @throws SessionError `pool_exhausted` at the deadline, `aborted`. */
  wait({ signal, deadlineMs }: { signal: AbortSignal | undefined; deadlineMs: number }): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      const leave = () => {
        clearTimeout(timer);
        signal?.removeEventListener("abort", abort);
        this.#waiting.delete(borrower);
      };
      const borrower: Borrower<T> = {
        give: (item) => {
          leave();
          resolve(item);
        },
        refuse: (error) => {
          leave();
          reject(error);
        },
      };
      const abort = () => borrower.refuse(new SessionError("aborted", "the wait for a session was aborted"));
      const late = () =>
        borrower.refuse(new SessionError("pool_exhausted", `no session became free in ${deadlineMs} ms`));
      const timer = setTimeout(late, deadlineMs);
      signal?.addEventListener("abort", abort, { once: true });
      this.#waiting.add(borrower);
      if (signal?.aborted) abort();
    });
  }

  /** Gives the session to the caller that has waited longest. @returns false if nobody waits. */
  serve(item: T): boolean {
    const [first] = this.#waiting;
    first?.give(item);
    return first !== undefined;
  }

  refuseAll(makeError: () => SessionError): void {
    for (const borrower of [...this.#waiting]) borrower.refuse(makeError());
  }
}
