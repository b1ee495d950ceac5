/** Owns how many things of one kind a client has open at a time. */
import { ProblemError } from "../../problem.ts";

export class Places {
  readonly #max: number;
  readonly #what: string;
  #taken = 0;

  /** @param what names the kind in the refusal: "calls that wait and streams". */
  constructor(max: number, what: string) {
    this.#max = max;
    this.#what = what;
  }

  /** Takes a place. @returns the function that gives it back. @throws ProblemError `rate_limited` if all are taken. */
  take(): () => void {
    if (this.#taken >= this.#max) {
      throw new ProblemError({
        code: "rate_limited",
        detail: `A client has at most ${this.#max} ${this.#what} at a time; end one first.`,
        retryAfter: 1,
      });
    }
    this.#taken += 1;
    let isTaken = true;
    return () => {
      if (isTaken) this.#taken -= 1;
      isTaken = false;
    };
  }
}
