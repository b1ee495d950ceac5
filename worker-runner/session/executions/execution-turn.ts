/** Owns an execution's turn: what must be true before it begins, and what becomes of the state, the answer and the next copy after. */
import type { EventType, StateAfterError } from "../../../src/protocol/event.ts";
import type { ExecutionId } from "../../../src/protocol/identity.ts";
import { errorFrame, resultFrame, type Transaction } from "../events/event-frame.ts";
import type { OutputGate } from "../events/output-gate.ts";
import type { SessionSettings } from "../session-options.ts";
import type { BroughtBack, Recovery } from "../state/recovery.ts";
import type { Turn } from "../turn-queue.ts";
import type { Execution } from "./execution.ts";
import { decideOutcome, type LastWord, type Outcome, type StopReason } from "./outcome.ts";
import { Run } from "./run.ts";

export interface ExecutionTurnDuties {
  settings: SessionSettings;
  recovery: Recovery;
  gate: OutputGate;
  emit(execution: Execution, type: EventType, makeFrame: (seq: number) => string | Buffer): void;
  /** Bytes that a frame of output may have; 0: any number. */
  frameLimit(): number;
  hasRunOutOfMemory(): Promise<boolean>;
  /** The state was replaced between executions. */
  noteReplaced(back: BroughtBack, reason: string): void;
  /** The turn has come. */
  begun(turn: ExecutionTurn): void;
  /** The turn is over: the terminal event is out. */
  end(turn: ExecutionTurn): void;
  /** No interpreter can be had any more. */
  fail(error: Error): void;
}

/** What an `error` says about the state. */
interface Aftermath {
  transaction: Transaction;
  state: StateAfterError;
  back?: BroughtBack;
}

export class ExecutionTurn implements Turn {
  readonly execution: Execution;
  readonly #duties: ExecutionTurnDuties;
  #run: Run | null = null;
  #earlyStop: StopReason | null = null;
  #isAbandoned = false;
  /** The session starts over: whatever the state is at the end of this, it will not stay. */
  #isStateGoing = false;

  constructor(execution: Execution, duties: ExecutionTurnDuties) {
    this.execution = execution;
    this.#duties = duties;
  }

  get executionId(): ExecutionId {
    return this.execution.id;
  }

  /** The run, once the code has been sent. */
  get run(): Run | null {
    return this.#run;
  }

  begin(): void {
    this.execution.state = "running";
    this.execution.startedAt = Date.now() / 1000;
    this.#duties.begun(this);
    if (this.#isReady()) this.#start();
    else void this.#prepare();
  }

  forgetState(): void {
    this.#isStateGoing = true;
  }

  /** Interrupts it, or sees to it that it does not begin. */
  stop(reason: StopReason, cleanUpMs?: number): void {
    if (this.#run) this.#run.stop(reason, cleanUpMs);
    else this.#earlyStop ??= reason;
  }

  /** Ends it before its turn came. */
  cancelWaiting(): void {
    const last: LastWord = {
      kind: "unstarted",
      detail: "the execution was cancelled before it began",
      isOutOfMemory: false,
    };
    const outcome = decideOutcome(last, "cancelled", this.execution.timeoutSeconds);
    this.#emitTerminal(outcome, { transaction: "rolled_back", state: "kept" });
  }

  abandon(): void {
    if (this.#isAbandoned || this.execution.state === "ended") return;
    this.#isAbandoned = true;
    this.#run?.abandon();
    const last: LastWord = { kind: "unstarted", detail: "the session ended", isOutOfMemory: false };
    const outcome = decideOutcome(last, "cancelled", this.execution.timeoutSeconds);
    this.#emitTerminal(outcome, { transaction: "rolled_back", state: "fresh" });
  }

  #isReady(): boolean {
    const { interpreter } = this.#duties.recovery;
    if (!interpreter.isUsable || !interpreter.live || interpreter.signalsAnswered) return false;
    return this.execution.policy === "commit_always";
  }

  async #prepare(): Promise<void> {
    const { recovery } = this.#duties;
    try {
      await recovery.interpreter.signalsAnswered;
      if (!recovery.interpreter.isUsable || !recovery.interpreter.live) await this.#revive();
      if (this.execution.policy !== "commit_always") await recovery.ensurePoint();
      if (!recovery.interpreter.isUsable || !recovery.interpreter.live) await this.#revive();
    } catch (error) {
      await this.#giveUp(error as Error);
      return;
    }
    if (this.#isAbandoned) return;
    if (this.#earlyStop === null) this.#start();
    else this.#endUnstarted("the execution was stopped before it began", false);
  }

  async #revive(): Promise<void> {
    const back = await this.#duties.recovery.bringBack();
    this.#duties.noteReplaced(back, "the interpreter had ended");
  }

  /** The state before could not be secured, so that the code must not run. */
  async #giveUp(error: Error): Promise<void> {
    if (this.#isAbandoned) return;
    const { recovery } = this.#duties;
    this.#endUnstarted(`the execution did not begin: ${error.message}`, recovery.interpreter.isUsable);
    if (!recovery.interpreter.isUsable) this.#duties.fail(error);
  }

  #endUnstarted(detail: string, isOutOfMemory: boolean): void {
    const last: LastWord = { kind: "unstarted", detail, isOutOfMemory };
    const outcome = decideOutcome(last, this.#earlyStop, this.execution.timeoutSeconds);
    this.#emitTerminal(outcome, { transaction: "rolled_back", state: "kept" });
    this.#duties.end(this);
  }

  #start(): void {
    const { recovery, settings } = this.#duties;
    this.#run = new Run(this.execution, {
      interpreter: recovery.interpreter,
      graceMs: settings.interruptGraceMs,
      noticedGraceMs: settings.noticedInterruptGraceMs,
      maxOutputCharacters: settings.outputMaxCharacters,
      frameLimit: () => this.#duties.frameLimit(),
      emit: (type, makeFrame) => this.#duties.emit(this.execution, type, makeFrame),
      hasRunOutOfMemory: this.#duties.hasRunOutOfMemory,
      over: (last, stop, isAlive) => this.#over(last, stop, isAlive),
    });
    this.execution.code = "";
  }

  #over(last: LastWord, stop: StopReason | null, isAlive: boolean): void {
    if (this.#isAbandoned) return;
    const { recovery, gate } = this.#duties;
    const { policy, timeoutSeconds, id } = this.execution;
    // At rest nothing but answers comes, and those are always read.
    if (gate.isHeld) recovery.interpreter.live?.hold(false);
    const outcome = decideOutcome(last, stop, timeoutSeconds);
    const isCommitted =
      isAlive && (policy === "commit_always" || (policy === "rollback_on_failure" && outcome.kind === "result"));
    if (!isCommitted) {
      void this.#goBack(outcome, isAlive);
      return;
    }
    this.#emitTerminal(outcome, { transaction: "committed", state: "kept" });
    recovery.noteChange(id);
    this.#duties.end(this);
  }

  async #goBack(outcome: Outcome, isAlive: boolean): Promise<void> {
    const { recovery } = this.#duties;
    let back: BroughtBack | null = null;
    let failure: Error | null = null;
    try {
      back = await recovery.bringBack();
    } catch (error) {
      failure = error as Error;
    }
    if (this.#isAbandoned) return;
    const state = isAlive && back?.state === "recovered" ? "rolled_back" : (back?.state ?? "fresh");
    this.#emitTerminal(outcome, { transaction: "rolled_back", state, ...(back ? { back } : {}) });
    // A result says nothing about the state: where it is not simply that of before, the listeners must be told.
    if (back && outcome.kind === "result" && back.state !== "recovered") {
      this.#duties.noteReplaced(back, "the state before the execution was gone");
    }
    this.#duties.end(this);
    if (failure) this.#duties.fail(failure);
  }

  #emitTerminal(outcome: Outcome, { transaction, state, back }: Aftermath): void {
    const { execution } = this;
    if (outcome.kind === "result") {
      const { message } = outcome;
      this.#duties.emit(execution, "result", (seq) => resultFrame(seq, execution.context, message, transaction));
      this.#duties.settings.metrics.executionEnded?.(null, message.execution_time);
      return;
    }
    const fields = {
      ...outcome.failure,
      ...(this.#isStateGoing ? ({ transaction: "rolled_back", state: "fresh" } as const) : { transaction, state }),
      ...(back?.checkpointId && !this.#isStateGoing ? { state_checkpoint_id: back.checkpointId } : {}),
      ...(back?.lostExecutions && !this.#isStateGoing ? { lost_executions: back.lostExecutions } : {}),
    };
    this.#duties.emit(execution, "error", (seq) => errorFrame(seq, execution.context, fields));
    this.#duties.settings.metrics.executionEnded?.(fields.reason, fields.execution_time);
  }
}
