/** Owns a session's executions from the request to the terminal event: which are known, which wait, which one runs. */
import type { ExecutionId } from "../../../src/protocol/identity.ts";
import type { SessionEnv } from "../../channel/runner-message.ts";
import { EventSink } from "../events/event-sink.ts";
import type { OutputGate } from "../events/output-gate.ts";
import type { SessionEvents } from "../events/session-events.ts";
import type { Submission } from "../session-contract.ts";
import { SessionError } from "../session-error.ts";
import type { SessionSettings } from "../session-options.ts";
import type { Recovery } from "../state/recovery.ts";
import type { TurnQueue } from "../turn-queue.ts";
import { Execution, fingerprint } from "./execution.ts";
import { ExecutionTurn, type TurnOwner } from "./execution-turn.ts";
import { RecentExecutions } from "./recent-executions.ts";
import type { Run } from "./run.ts";

/** An execution that has published nothing by then is announced by `started`. */
const TELL_START_AFTER_MS = 20;

export class Executions implements TurnOwner {
  readonly settings: SessionSettings;
  readonly recovery: Recovery;
  readonly gate: OutputGate;
  readonly onFailure: (error: Error) => void;
  readonly #events: SessionEvents;
  readonly #queue: TurnQueue;
  readonly #recent: RecentExecutions;
  readonly #waiting = new Map<ExecutionId, ExecutionTurn>();
  #current: ExecutionTurn | null = null;
  #env: SessionEnv | null = null;
  #startTimer: NodeJS.Timeout | undefined;

  constructor(
    settings: SessionSettings,
    events: SessionEvents,
    recovery: Recovery,
    queue: TurnQueue,
    gate: OutputGate,
    onFailure: (error: Error) => void,
  ) {
    this.settings = settings;
    this.recovery = recovery;
    this.gate = gate;
    this.onFailure = onFailure;
    this.#events = events;
    this.#queue = queue;
    this.#recent = new RecentExecutions(settings.rememberedExecutions, settings.replayMaxBytes);
  }

  /** The execution whose turn it is. */
  get current(): ExecutionTurn | null {
    return this.#current;
  }

  /** The run whose code is running. */
  get openRun(): Run | null {
    const run = this.#current?.run;
    return run?.isOpen ? run : null;
  }

  /** @throws SessionError `idempotency_conflict`, `payload_too_large`, `queue_full`. */
  accept(submission: Submission): { execution: Execution; isNew: boolean } {
    const { settings } = this;
    const { execution_id: id, code } = submission;
    const known = this.#recent.get(id);
    if (known) {
      if (known.fingerprint === fingerprint(code)) return { execution: known, isNew: false };
      throw new SessionError("idempotency_conflict", `execution id ${id} was used with other code`);
    }
    if (Buffer.byteLength(code) > settings.codeMaxBytes) {
      throw new SessionError("payload_too_large", `code may have at most ${settings.codeMaxBytes} bytes`);
    }
    if (this.#waiting.size >= settings.maxQueuedExecutions) {
      throw new SessionError("queue_full", `${settings.maxQueuedExecutions} executions are waiting`);
    }
    const execution = new Execution(submission, new EventSink(this.#events, id, settings.replayMaxBytes), this.#env);
    this.#recent.add(execution);
    return { execution, isNew: true };
  }

  /** Replaces the environment variables that executions from now on find; those that are gone are removed. */
  setEnv(values: Readonly<Record<string, string>>): void {
    const removed = Object.keys(this.#env ?? {}).map((name) => [name, null] as const);
    this.#env = { ...Object.fromEntries(removed), ...values };
  }

  enqueue(execution: Execution): void {
    const turn = new ExecutionTurn(execution, this);
    this.#waiting.set(execution.id, turn);
    this.#queue.push(turn);
  }

  interrupt(): ExecutionId | null {
    this.#current?.stop("interrupted");
    return this.#current?.executionId ?? null;
  }

  /** @returns false if the execution is unknown or has ended. */
  cancel(executionId: ExecutionId): boolean {
    if (this.#current?.executionId === executionId) {
      this.#current.stop("cancelled");
      return true;
    }
    const turn = this.#waiting.get(executionId);
    if (!turn || !this.#queue.remove(turn)) return false;
    this.#waiting.delete(executionId);
    turn.cancelWaiting();
    return true;
  }

  /**
   * Ends the waiting executions without running them, and interrupts the running one.
   *
   * @param isStateDiscarded the session starts over afterwards.
   * @param cleanUpMs how long code may run on that has noticed the interrupt; absent: as after any other interrupt.
   */
  cancelAll(isStateDiscarded: boolean, cleanUpMs?: number): void {
    if (isStateDiscarded) for (const turn of [...this.#waiting.values(), this.#current]) turn?.discardState();
    for (const executionId of [...this.#waiting.keys()]) this.cancel(executionId);
    this.#current?.stop("cancelled", cleanUpMs);
  }

  onBegun(turn: ExecutionTurn): void {
    this.#waiting.delete(turn.executionId);
    this.#current = turn;
    this.#startTimer = setTimeout(() => this.#tellStarted(turn.execution), TELL_START_AFTER_MS);
  }

  onTerminal(turn: ExecutionTurn): void {
    this.#recent.noteEnded(turn.execution);
  }

  onEnded(turn: ExecutionTurn): void {
    clearTimeout(this.#startTimer);
    this.#current = null;
    this.#queue.end(turn);
  }

  /** The first event says when the execution began. If that event is late, listeners are told separately. */
  #tellStarted({ id, events }: Execution): void {
    if (events.bytes === 0 && events.startedAt !== null) this.#events.tellStarted(id, events.startedAt);
  }
}
