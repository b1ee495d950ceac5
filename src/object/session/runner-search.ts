/** Owns the search for a runner that starts a session's interpreter: asks the Fleet, and passes over runners that refused. */
import { sleep } from "../../deadline.ts";
import { placeRunner } from "../../fleet/fleet-calls.ts";
import { ProblemError } from "../../problem.ts";
import { LinkError } from "../runner/runner-link.ts";
import type { SessionContext } from "./session-context.ts";

/** How long a session whose runner was lost waits for any runner, and how often it asks. */
const RETURN_WAIT_MS = 10_000;
const RETURN_POLL_MS = 250;
const MAX_PLACEMENTS = 4;

type Placed = Awaited<ReturnType<typeof placeRunner>>;

/** The last loss of a session's runner. A runner that died is started again, so the session waits a moment for one. */
export class LostRunner {
  #waitUntilMs = 0;

  note(): void {
    this.#waitUntilMs = Date.now() + RETURN_WAIT_MS;
  }

  get isAwaited(): boolean {
    return Date.now() < this.#waitUntilMs;
  }
}

/** One search. The caller tries each runner in turn, and says how it went. */
export class RunnerSearch {
  readonly #context: SessionContext;
  readonly #lostRunner: LostRunner;
  readonly #refusedBy: string[] = [];
  #refusal: LinkError | null = null;
  #placements = 0;
  #hasRetried = false;

  constructor(context: SessionContext, lostRunner: LostRunner) {
    this.#context = context;
    this.#lostRunner = lostRunner;
  }

  /** The next runner to try; null if there is none. */
  async next(): Promise<Exclude<Placed, string> | null> {
    while (this.#placements < MAX_PLACEMENTS) {
      this.#placements += 1;
      const placed = await this.#ask();
      if (typeof placed !== "string") {
        this.#refusedBy.push(placed.id);
        return placed;
      }
      if (placed === "full") this.#refusal ??= new LinkError("pool_exhausted", "Every runner is full.");
      if (this.#hasRetried || this.#refusedBy.length === 0 || this.#refusal?.fault !== "pool_exhausted") return null;
      // Many sessions that start at once can take longer than a runner lets one wait, though it has room for all of them.
      this.#hasRetried = true;
      this.#refusedBy.length = 0;
    }
    return null;
  }

  /** The runner that was tried last did not take the session. */
  noteRefusal(refusal: LinkError): void {
    this.#refusal = refusal;
  }

  /** The runner that was tried last may be tried again. */
  forgive(): void {
    this.#refusedBy.pop();
  }

  /** The error that the caller gets after the search has found nothing. */
  get failure(): Error {
    return this.#refusal ?? new ProblemError({ code: "no_runner", detail: "No runner is available.", retryAfter: 5 });
  }

  async #ask(): Promise<Placed> {
    const { record, stores } = this.#context;
    for (;;) {
      const placed = await placeRunner(stores.env, `${stores.ctx.id}:${record.name}`, this.#refusedBy, {
        environment: record.environment,
        region: record.region,
      });
      if (placed !== "none" || !this.#lostRunner.isAwaited) return placed;
      await sleep(RETURN_POLL_MS);
    }
  }
}
