/** Owns what an attack is: code for one session, and how its containment shows; running it is left to `arena.ts`. */
import type { Session } from "../../../worker-runner/session/session.ts";
import type { SessionOptions } from "../../../worker-runner/session/session-options.ts";
import type { Outcome } from "../outcome.ts";

export interface Attack {
  /** A sentence: what is tried, and what comes of it. */
  name: string;
  /** Run one after the other in one session, each with `timeout`. */
  code: string | readonly string[];
  /** Seconds; 10 unless said. */
  timeout?: number;
  session?: SessionOptions;
  /** Throws where the attack is not contained. Gets the outcome of each piece of code, and the session as it is then. */
  contained: (outcomes: readonly Outcome[], session: Session) => void | Promise<void>;
  /** Where the attack may cost its own session its state: the next execution must then be right in a fresh one. */
  mayLoseState?: boolean;
}
