/** Owns one run of code as its caller sees it: a promise of the outcome, and the events in between. */
import { PythonError } from "./client-error.ts";
import { EventQueue } from "./event-queue.ts";
import { type Outcome, OutcomeCollector } from "./outcome.ts";
import type { RunEvent, WireEvent } from "./wire.ts";

/** How a run reaches its execution, over a socket or HTTP. */
export interface RunReach {
  cancel(executionId: string): Promise<void>;
  answerInput(executionId: string, inputId: string, value: string | null): Promise<void>;
  /** The characters that wait for a loop are more or fewer. */
  progressed(): void;
}

export interface RunOptions {
  executionId: string;
  keepsOutput: boolean;
  reach: RunReach;
  /** Called with each event, before a loop gets it. */
  listen(event: WireEvent): void;
}

export class Run implements Promise<Outcome>, AsyncIterable<RunEvent> {
  readonly executionId: string;
  readonly [Symbol.toStringTag] = "Run";
  readonly #options: RunOptions;
  readonly #collector: OutcomeCollector;
  readonly #queue: EventQueue;
  readonly #outcome: Promise<Outcome>;
  // Node 20 has no `Promise.withResolvers`.
  #resolve: (outcome: Outcome) => void = () => undefined;
  #reject: (error: unknown) => void = () => undefined;
  #lastSeq = 0;
  #isOver = false;

  constructor(options: RunOptions) {
    this.#options = options;
    this.executionId = options.executionId;
    this.#outcome = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    this.#collector = new OutcomeCollector(options.keepsOutput);
    this.#queue = new EventQueue(() => options.reach.progressed());
  }

  /** Seq of the last event; 0 before the first. */
  get lastSeq(): number {
    return this.#lastSeq;
  }

  /** True once the outcome is settled. */
  get isOver(): boolean {
    return this.#isOver;
  }

  /** Characters of output that a loop over the events has not taken. */
  get waitingChars(): number {
    return this.#queue.waitingChars;
  }

  // biome-ignore lint/suspicious/noThenProperty: a run is a promise of its outcome
  then<T = Outcome, U = never>(
    onOutcome?: ((outcome: Outcome) => T | PromiseLike<T>) | null,
    onError?: ((error: unknown) => U | PromiseLike<U>) | null,
  ): Promise<T | U> {
    return this.#outcome.then(onOutcome, onError);
  }

  catch<U = never>(onError?: ((error: unknown) => U | PromiseLike<U>) | null): Promise<Outcome | U> {
    return this.#outcome.catch(onError);
  }

  finally(onEnd?: (() => void) | null): Promise<Outcome> {
    return this.#outcome.finally(onEnd);
  }

  /** The outcome. @throws PythonError where the code failed. */
  async orThrow(): Promise<Outcome> {
    const outcome = await this.#outcome;
    if (!outcome.ok) throw new PythonError(outcome);
    return outcome;
  }

  /** Ends the execution: one that waits its turn does not run, one that runs is interrupted. The outcome's `error.reason` is then `cancelled`. */
  cancel(): Promise<void> {
    return this.#isOver ? Promise.resolve() : this.#options.reach.cancel(this.executionId);
  }

  /** Answers an `input` event; null is end of file. */
  answer(inputId: string, value: string | null): Promise<void> {
    return this.#options.reach.answerInput(this.executionId, inputId, value);
  }

  /** Each event in its order, once. A loop that is slower than the code slows the code down. */
  [Symbol.asyncIterator](): AsyncIterator<RunEvent> {
    // The loop throws what the promise is rejected with.
    this.#outcome.catch(() => undefined);
    return this.#queue.read();
  }

  /** Takes an event from the service; one that came before is left out. */
  take(event: WireEvent): void {
    if (this.#isOver || event.seq <= this.#lastSeq) return;
    this.#lastSeq = event.seq;
    const isEnding = event.type === "result" || event.type === "error";
    if (!isEnding) this.#collector.take(event);
    try {
      this.#options.listen(event);
    } catch (error) {
      this.#failOfListener(error);
      return;
    }
    this.#queue.push(event);
    if (!isEnding) return;
    this.#isOver = true;
    this.#queue.finish();
    this.#resolve(this.#collector.finish(event.data, event.seq));
  }

  /** Events are no longer kept by the service. */
  takeGap(from: number, to: number): void {
    if (this.#isOver || to <= this.#lastSeq) return;
    this.#collector.noteGap();
    this.#queue.push({ type: "gap", data: { from: Math.max(from, this.#lastSeq + 1), to } });
  }

  /** It is not known, or not to be known, how the execution ends. */
  fail(error: unknown): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#queue.finish(error);
    this.#reject(error);
  }

  #failOfListener(error: unknown): void {
    this.#options.reach.cancel(this.executionId).catch(() => undefined);
    this.fail(error);
  }
}
