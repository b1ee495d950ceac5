/** Owns the time limit of one execution: a clock that counts from when the code began and stands still while the code waits for its client. */
import type { Interpreter } from "../../interpreter/interpreter.ts";

/** How long `execute` usually takes to reach the interpreter; asked earlier, it would answer that the limit is not reached yet. */
const TRANSIT_MS = 5;
/** How much later than the `execute` message the code may begin. User code could forge its beginning, so the time is bounded. */
const LATE_BEGIN_MS = 10_000;
/** The longest delay that setTimeout accepts. */
const LONGEST_TIMER_MS = 2 ** 31 - 1;

export class TimeLimit {
  readonly #interpreter: Pick<Interpreter, "runningSeconds">;
  readonly #onReached: () => void;
  readonly #startedAt = performance.now();
  /** `over`: the execution is being stopped, or has ended. */
  #clock:
    | { state: "running"; endsAt: number }
    | { state: "paused"; leftMs: number }
    | { state: "over"; endsAt: number };
  #timer: NodeJS.Timeout | undefined;
  /** How much later than its `execute` message the code is known to have begun; the limit was extended by that. */
  #lateMs = 0;

  /** Starts the clock. `onReached` is called once, unless the limit is ended before. */
  constructor(interpreter: Pick<Interpreter, "runningSeconds">, seconds: number, onReached: () => void) {
    this.#interpreter = interpreter;
    this.#onReached = onReached;
    this.#clock = this.#run(Math.min(seconds * 1000 + TRANSIT_MS, LONGEST_TIMER_MS));
  }

  /** Stops the clock: the code waits for the client. */
  pause(): void {
    if (this.#clock.state !== "running") return;
    clearTimeout(this.#timer);
    this.#clock = { state: "paused", leftMs: Math.max(0, this.#clock.endsAt - performance.now()) };
  }

  resume(): void {
    if (this.#clock.state === "paused") this.#clock = this.#run(this.#clock.leftMs);
  }

  /** Nothing is left to limit. */
  end(): void {
    clearTimeout(this.#timer);
    const clock = this.#clock;
    const endsAt = clock.state === "paused" ? performance.now() + clock.leftMs : clock.endsAt;
    this.#clock = { state: "over", endsAt };
  }

  /** Seconds until the limit, if its clock runs from now on. */
  get secondsLeft(): number {
    const clock = this.#clock;
    const leftMs = clock.state === "paused" ? clock.leftMs : clock.endsAt - performance.now();
    return Math.max(0, leftMs - TRANSIT_MS) / 1000;
  }

  #run(leftMs: number): { state: "running"; endsAt: number } {
    this.#timer = setTimeout(() => void this.#check(), leftMs);
    return { state: "running", endsAt: performance.now() + leftMs };
  }

  /** The limit counts from when the code began. On a busy machine that is later than its `execute` message was sent. */
  async #check(): Promise<void> {
    const elapsedMs = performance.now() - this.#startedAt;
    const ranMs = ((await this.#interpreter.runningSeconds()) ?? 0) * 1000;
    if (this.#clock.state !== "running") return;
    const lateMs = Math.min(elapsedMs - ranMs - TRANSIT_MS, LATE_BEGIN_MS);
    const extensionMs = lateMs - this.#lateMs;
    if (extensionMs > 0) {
      this.#lateMs = lateMs;
      this.#clock = this.#run(extensionMs);
    } else {
      this.end();
      this.#onReached();
    }
  }
}
