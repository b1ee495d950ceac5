/** Owns what an attack is: code for one session, and how its containment shows; running it is left to `arena.ts`. */
import type { Session } from "../../../worker-runner/session/session.ts";
import type { SessionOptions } from "../../../worker-runner/session/session-options.ts";
import type { Grade } from "../grade.ts";
import type { Outcome } from "../outcome.ts";

export interface Attack {
  /** A sentence: what is tried, and what comes of it. */
  name: string;
  /** Run one after the other in one session, each with `timeout`. `KEEPER` and `/workspace` stand for what they are in this session. */
  code: string | readonly string[];
  /** Seconds; 10 unless said. */
  timeout?: number;
  session?: SessionOptions;
  /** Throws where the attack is not contained. Gets the outcome of each piece of code, and the session as it is then. */
  contained: (outcomes: readonly Outcome[], session: Session, here: (text: string) => string) => void | Promise<void>;
  /** Where the attack may cost its own session its state: the next execution must then be right in a fresh one. */
  mayLoseState?: boolean;
  /** What comes of it in a grade that gives less. */
  lesser?: readonly Lesser[];
}

/** What a lesser grade gives instead. docs/security.md has a row for each. */
export interface Lesser {
  /** Which grades. */
  applies: (grade: Grade) => boolean;
  /** What the grade lacks. */
  because: string;
  code?: string | readonly string[];
  contained: Attack["contained"];
  mayLoseState?: boolean;
}
