/** Owns how a running execution is stopped: the interrupt, the grace period after it, and the kill. */
import type { Interpreter } from "../../interpreter/interpreter.ts";
import type { SessionSettings } from "../session-options.ts";
import type { StopReason } from "./outcome.ts";
import { TimeLimit } from "./time-limit.ts";

const SIGINT = 2;
/**
 * The interpreter ignores SIGINT between executions, so a signal that overtakes the `execute` message is lost. Within this time after
 * `execute`, while the execution has sent nothing yet, a signal may have come too early. It is then sent again after each of the
 * pauses below, until the execution sends something.
 */
const EARLY_MS = 30;
const SIGNAL_AGAIN_MS = [40, 120, 300];
/**
 * Python notices a signal between two steps of its own. One that comes between the last step and a system call that blocks is noticed
 * only when that call ends. Code that has noticed nothing after this time gets the signal again.
 */
const UNNOTICED_MS = 250;
/** Output that is still read from a process that was told to stop while its output was held back. */
const STOPPING_ALLOWANCE_CHARACTERS = 1024 * 1024;

export class StopSequence {
  readonly #interpreter: Interpreter;
  readonly #settings: Pick<SessionSettings, "interruptGraceMs" | "noticedInterruptGraceMs">;
  /** `killing`: the execution counts as dead, whatever it still sends. */
  #phase: "running" | "stopping" | "killing" | "over" = "running";
  /** The first reason counts. */
  #reason: StopReason | null = null;
  readonly #startedAt = performance.now();
  readonly timeLimit: TimeLimit;
  #grace: NodeJS.Timeout | undefined;
  #unnoticed: NodeJS.Timeout | undefined;
  #again: NodeJS.Timeout | undefined;
  /** True once the execution has sent something: its code has begun. */
  hasSpoken = false;

  constructor(
    interpreter: Interpreter,
    settings: Pick<SessionSettings, "interruptGraceMs" | "noticedInterruptGraceMs">,
    timeoutSeconds: number,
  ) {
    this.#interpreter = interpreter;
    this.#settings = settings;
    this.timeLimit = new TimeLimit(interpreter, timeoutSeconds, () => this.stop("timeout"));
  }

  get phase(): "running" | "stopping" | "killing" | "over" {
    return this.#phase;
  }

  get reason(): StopReason | null {
    return this.#reason;
  }

  /** Seconds since `execute` was sent. */
  get elapsedSeconds(): number {
    return (performance.now() - this.#startedAt) / 1000;
  }

  /**
   * Interrupts the execution, and kills it if it does not stop. A second request sends another interrupt.
   *
   * @param cleanUpMs how much longer code may run that has noticed the interrupt.
   */
  stop(reason: StopReason, cleanUpMs: number = this.#settings.noticedInterruptGraceMs): void {
    if (this.#phase !== "running" && this.#phase !== "stopping") return;
    // Output past the limit that is printed while the code cleans up is not another request to stop.
    if (this.#phase === "stopping" && reason === "output_limit") return;
    // The allowance begins after the signal was sent. Code that prints in a loop would otherwise use it up before.
    void this.#interpreter.signalLive(SIGINT).then(() => {
      if (this.#phase === "stopping") this.#interpreter.live?.allow(STOPPING_ALLOWANCE_CHARACTERS);
    });
    if (this.#phase === "stopping") return;
    this.#phase = "stopping";
    this.#reason = reason;
    this.timeLimit.end();
    if (!this.hasSpoken && performance.now() - this.#startedAt < EARLY_MS) this.#signalAgain(0);
    this.#grace = setTimeout(() => void this.#endGrace(cleanUpMs), this.#settings.interruptGraceMs);
    this.#unnoticed = setTimeout(() => void this.#signalIfUnnoticed(), UNNOTICED_MS);
  }

  /** Nothing is left to stop. */
  end(): void {
    this.#phase = "over";
    this.timeLimit.end();
    clearTimeout(this.#grace);
    clearTimeout(this.#unnoticed);
    clearTimeout(this.#again);
  }

  /** Code that has noticed an interrupt or a cancel gets more time to clean up. A timeout gets no extra time. */
  async #endGrace(cleanUpMs: number): Promise<void> {
    const mayCleanUp = this.#reason === "interrupted" || this.#reason === "cancelled";
    if (mayCleanUp && (await this.#interpreter.hasNoticedInterrupt())) {
      if (this.#phase === "stopping") this.#grace = setTimeout(() => this.#kill(), cleanUpMs);
    } else if (this.#phase === "stopping") {
      this.#kill();
    }
  }

  #kill(): void {
    this.#phase = "killing";
    this.#interpreter.killLive();
  }

  async #signalIfUnnoticed(): Promise<void> {
    if (await this.#interpreter.hasNoticedInterrupt()) return;
    if (this.#phase === "stopping") void this.#interpreter.signalLive(SIGINT);
  }

  #signalAgain(attempt: number): void {
    const pauseMs = SIGNAL_AGAIN_MS[attempt];
    if (pauseMs === undefined) return;
    this.#again = setTimeout(() => {
      if (this.#phase !== "stopping" || this.hasSpoken) return;
      void this.#interpreter.signalLive(SIGINT);
      this.#signalAgain(attempt + 1);
    }, pauseMs);
  }
}
