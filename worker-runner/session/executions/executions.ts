/** Owns a session's executions from the request to the terminal event: which are known, which waits, which runs. */
import { randomUUID } from "node:crypto";
import { ExecuteMessage } from "../../../src/protocol/client-message.ts";
import { type EventType, isTerminal } from "../../../src/protocol/event.ts";
import type { ExecutionId } from "../../../src/protocol/identity.ts";
import type { OutputGate } from "../events/output-gate.ts";
import type { ExecuteRequest, SessionListener } from "../session-contract.ts";
import { SessionError } from "../session-error.ts";
import type { SessionSettings } from "../session-options.ts";
import type { TurnQueue } from "../turn-queue.ts";
import { Execution, fingerprint } from "./execution.ts";
import { ExecutionTurn, type ExecutionTurnDuties } from "./execution-turn.ts";
import { RecentExecutions } from "./recent-executions.ts";
import type { Run } from "./run.ts";

const TELL_START_AFTER_MS = 20;

export interface ExecutionsDuties
  extends Pick<ExecutionTurnDuties, "recovery" | "hasRunOutOfMemory" | "noteReplaced" | "fail"> {
  settings: SessionSettings;
  queue: TurnQueue;
  gate: OutputGate;
  listeners: ReadonlySet<SessionListener>;
}

export class Executions {
  readonly #duties: ExecutionsDuties;
  readonly #turnDuties: ExecutionTurnDuties;
  readonly #recent: RecentExecutions;
  readonly #waiting = new Map<ExecutionId, ExecutionTurn>();
  #current: ExecutionTurn | null = null;
  #seq = 0;
  #frameLimit = 0;
  #startTimer: NodeJS.Timeout | undefined;

  constructor(duties: ExecutionsDuties) {
    const { settings, queue } = duties;
    this.#duties = duties;
    this.#recent = new RecentExecutions(settings.rememberedExecutions, settings.replayMaxBytes);
    this.#turnDuties = {
      ...duties,
      emit: (execution, type, makeFrame) => this.#emit(execution, type, makeFrame),
      frameLimit: () => this.#frameLimit,
      begun: (turn) => {
        this.#waiting.delete(turn.executionId);
        this.#current = turn;
        this.#tellStartLater(turn.execution);
      },
      end: (turn) => {
        clearTimeout(this.#startTimer);
        this.#current = null;
        queue.end(turn);
      },
    };
  }

  get lastSeq(): number {
    return this.#seq;
  }

  /** @throws SessionError `invalid_call` after the first event. */
  numberFrom(base: number): void {
    if (this.#seq !== 0) throw new SessionError("invalid_call", "the session's events are numbered already");
    this.#seq = base;
  }

  /** Output comes in frames of at most so many bytes; 0: of any number. */
  limitFrames(bytes: number): void {
    this.#frameLimit = bytes;
  }

  /** The execution whose turn it is. */
  get current(): ExecutionTurn | null {
    return this.#current;
  }

  /** The run that may say something now. */
  get openRun(): Run | null {
    const run = this.#current?.run;
    return run?.isOpen ? run : null;
  }

  /** @throws SessionError `invalid_call`, `idempotency_conflict`, `payload_too_large`, `queue_full`. */
  accept(request: ExecuteRequest): { execution: Execution; isNew: boolean } {
    const { settings } = this.#duties;
    const parsed = ExecuteMessage.safeParse({ ...request, type: "execute" });
    if (!parsed.success) throw new SessionError("invalid_call", parsed.error.issues[0]?.message ?? "not an execution");
    const message = parsed.data;
    const id = (message.id ?? randomUUID()) as ExecutionId;
    const known = this.#recent.get(id);
    if (known) {
      if (known.fingerprint === fingerprint(message.code)) return { execution: known, isNew: false };
      throw new SessionError("idempotency_conflict", `execution id ${id} was used with other code`);
    }
    if (Buffer.byteLength(message.code) > settings.codeMaxBytes) {
      throw new SessionError("payload_too_large", `code may have ${settings.codeMaxBytes} bytes`);
    }
    if (this.#waiting.size >= settings.maxQueuedExecutions) {
      throw new SessionError("queue_full", `${settings.maxQueuedExecutions} executions are waiting`);
    }
    const execution = new Execution(id, message, settings.replayMaxBytes);
    this.#recent.add(execution);
    return { execution, isNew: true };
  }

  enqueue(execution: Execution): void {
    const turn = new ExecutionTurn(execution, this.#turnDuties);
    this.#waiting.set(execution.id, turn);
    this.#duties.queue.push(turn);
  }

  /** The first event says when the execution began; where it is long in coming, it is said before. */
  #tellStartLater(execution: Execution): void {
    this.#startTimer = setTimeout(() => {
      const { startedAt } = execution;
      if (execution.hasSpoken || startedAt === null) return;
      for (const listener of this.#duties.listeners) listener.started?.(execution.id, startedAt);
    }, TELL_START_AFTER_MS);
  }

  interrupt(): ExecutionId | null {
    this.#current?.stop("interrupted");
    return this.#current?.executionId ?? null;
  }

  /** @returns false where the execution is unknown or over. */
  cancel(executionId: ExecutionId): boolean {
    if (this.#current?.executionId === executionId) {
      this.#current.stop("cancelled");
      return true;
    }
    const turn = this.#waiting.get(executionId);
    if (!turn || !this.#duties.queue.remove(turn)) return false;
    this.#waiting.delete(executionId);
    turn.cancelWaiting();
    return true;
  }

  /**
   * Ends what waits without running it, and interrupts what runs.
   *
   * @param isStateGoing nothing of what they did will stay.
   * @param cleanUpMs how long code may go on that has noticed it; absent: as after any other interrupt.
   */
  cancelAll(isStateGoing: boolean, cleanUpMs?: number): void {
    if (isStateGoing) for (const turn of [...this.#waiting.values(), this.#current]) turn?.forgetState();
    for (const executionId of [...this.#waiting.keys()]) this.cancel(executionId);
    this.#current?.stop("cancelled", cleanUpMs);
  }

  #emit(execution: Execution, type: EventType, makeFrame: (seq: number) => string | Buffer): void {
    this.#seq += 1;
    const event = execution.record(this.#seq, type, makeFrame(this.#seq));
    for (const listener of this.#duties.listeners) listener.event?.(event);
    if (isTerminal(type)) this.#recent.noteEnded(execution);
  }
}
