/** Owns an execution's turn: preparing the interpreter, running the code, then the terminal event and the state after it. */
import type { StateAfterError } from "../../../src/protocol/event.ts";
import type { ExecutionId } from "../../../src/protocol/identity.ts";
import { errorFrame, resultFrame, type TransactionOutcome } from "../events/event-frame.ts";
import type { OutputGate } from "../events/output-gate.ts";
import type { SessionSettings } from "../session-options.ts";
import type { BroughtBack, Recovery } from "../state/recovery.ts";
import type { Turn } from "../turn-queue.ts";
import type { Execution } from "./execution.ts";
import { type FileReport, FileWatch } from "./file-watch.ts";
import { decideOutcome, type LastWord, type Outcome, type StopReason } from "./outcome.ts";
import { Run } from "./run.ts";

/** The queue that the turn belongs to; `Executions` implements it. */
export interface TurnOwner {
  readonly settings: SessionSettings;
  readonly recovery: Recovery;
  readonly gate: OutputGate;
  /** The turn has come. */
  onBegun(turn: ExecutionTurn): void;
  /** The terminal event was published. */
  onTerminal(turn: ExecutionTurn): void;
  /** The turn is over; the next one may begin. */
  onEnded(turn: ExecutionTurn): void;
  /** No interpreter can be started any more. */
  onFailure(error: Error): void;
}

/** What an `error` event says about the state. */
interface Aftermath {
  transaction: TransactionOutcome;
  state: StateAfterError;
  back?: BroughtBack;
}

/** How often the code is sent at most, if each time the interpreter dies before it reads it. */
const MAX_BEGINNINGS = 3;

type Phase = { name: "preparing"; stop: StopReason | null } | { name: "running"; run: Run } | { name: "over" };

export class ExecutionTurn implements Turn {
  readonly execution: Execution;
  readonly #owner: TurnOwner;
  #phase: Phase = { name: "preparing", stop: null };
  /** The session starts over, so the state at the end of this turn will not last. */
  #isStateDiscarded = false;
  #beginnings = 1;
  #watch: FileWatch | null = null;
  #fileReport: FileReport | null = null;

  constructor(execution: Execution, owner: TurnOwner) {
    this.execution = execution;
    this.#owner = owner;
  }

  get executionId(): ExecutionId {
    return this.execution.id;
  }

  /** The run, once the code was sent. */
  get run(): Run | null {
    return this.#phase.name === "running" ? this.#phase.run : null;
  }

  begin(): void {
    this.execution.events.begin();
    this.#owner.recovery.noteBegin();
    this.#owner.onBegun(this);
    if (this.#isReady()) this.#start();
    else void this.#prepare();
  }

  /** The terminal event will say that the state is fresh. */
  discardState(): void {
    this.#isStateDiscarded = true;
  }

  /** Interrupts the execution, or prevents its start. */
  stop(reason: StopReason, cleanUpMs?: number): void {
    if (this.#phase.name === "running") this.#phase.run.stop(reason, cleanUpMs);
    else if (this.#phase.name === "preparing") this.#phase.stop ??= reason;
  }

  /** Ends the execution before its turn. */
  cancelWaiting(): void {
    const detail = "the execution was cancelled before it began";
    this.#emitTerminal(this.#outcomeOf({ kind: "unstarted", detail, isOutOfMemory: false }, "cancelled"), {
      transaction: "rolled_back",
      state: "kept",
    });
  }

  abandon(): void {
    if (this.#phase.name === "over") return;
    this.run?.abandon();
    this.#watch?.close();
    const last: LastWord = { kind: "unstarted", detail: "the session ended", isOutOfMemory: false };
    this.#emitTerminal(this.#outcomeOf(last, "cancelled"), { transaction: "rolled_back", state: "fresh" });
  }

  #isReady(): boolean {
    const { interpreter } = this.#owner.recovery;
    if (!interpreter.isUsable || !interpreter.live?.isConnected || interpreter.signalsAnswered) return false;
    return this.execution.policy === "commit_always" && !this.execution.reportsFiles;
  }

  async #prepare(): Promise<void> {
    const { recovery } = this.#owner;
    try {
      await recovery.interpreter.signalsAnswered;
      await recovery.ensureLive("the interpreter had ended");
      if (this.execution.policy !== "commit_always") await recovery.ensurePoint();
      await recovery.ensureLive("the interpreter had ended");
      if (this.execution.reportsFiles) this.#watch ??= await FileWatch.begin(recovery.interpreter);
    } catch (error) {
      this.#giveUp(error as Error);
      return;
    }
    if (this.#phase.name === "preparing" && this.#phase.stop === null) this.#start();
    else this.#endUnstarted("the execution was stopped before it began", false);
  }

  /** The state before the execution could not be secured, so the code must not run. */
  #giveUp(error: Error): void {
    if (this.#phase.name === "over") return;
    const { isUsable } = this.#owner.recovery.interpreter;
    this.#endUnstarted(`the execution did not begin: ${error.message}`, isUsable);
    if (!isUsable) this.#owner.onFailure(error);
  }

  #endUnstarted(detail: string, isOutOfMemory: boolean): void {
    if (this.#phase.name !== "preparing") return;
    const outcome = this.#outcomeOf({ kind: "unstarted", detail, isOutOfMemory }, this.#phase.stop);
    this.#watch?.close();
    this.#emitTerminal(outcome, { transaction: "rolled_back", state: "kept" });
    this.#owner.onEnded(this);
  }

  #start(): void {
    const { recovery, settings } = this.#owner;
    const run = new Run(this.execution, recovery, settings, (last, stop, isAlive) =>
      this.#onRunEnded(last, stop, isAlive),
    );
    this.#phase = { name: "running", run };
    run.begin();
  }

  #onRunEnded(last: LastWord, stop: StopReason | null, isAlive: boolean): void {
    if (this.#phase.name === "over") return;
    if (last.kind === "died" && !last.end.wasRunning && !this.run?.hasSpoken && stop === null && this.#beginAgain())
      return;
    const { recovery, gate } = this.#owner;
    this.execution.code = "";
    this.execution.offered = null;
    // Between executions only answers arrive, and those are always read.
    if (gate.isHeld) recovery.interpreter.live?.hold(false);
    const outcome = this.#outcomeOf(last, stop);
    const { events } = this.execution;
    if (events.holdsMuch || this.#watch) void this.#tellRest().then(() => this.#conclude(outcome, isAlive));
    else this.#conclude(outcome, isAlive);
  }

  /** Publishes the output that is held, and finds out which files have changed. Code no longer runs. */
  async #tellRest(): Promise<void> {
    const { events } = this.execution;
    if (this.#watch) this.#fileReport = await this.#watch.report();
    if (events.holdsMuch) await events.releaseInTurns();
  }

  /** All output was published: what is left is the state and the terminal event. */
  #conclude(outcome: Outcome, isAlive: boolean): void {
    if (this.#phase.name === "over") return;
    const { recovery } = this.#owner;
    const { policy, id } = this.execution;
    const isCommitted =
      isAlive && (policy === "commit_always" || (policy === "rollback_on_failure" && outcome.kind === "result"));
    if (!isCommitted) {
      void this.#goBack(outcome, isAlive);
      return;
    }
    this.#emitTerminal(outcome, { transaction: "committed", state: "kept" });
    recovery.noteChange(id);
    this.#owner.onEnded(this);
  }

  /** The interpreter had died before it read the code, which therefore runs on the next one. @returns false if that happens again and again. */
  #beginAgain(): boolean {
    this.#beginnings += 1;
    if (this.#beginnings > MAX_BEGINNINGS) return false;
    this.#phase = { name: "preparing", stop: null };
    void this.#prepare();
    return true;
  }

  async #goBack(outcome: Outcome, isAlive: boolean): Promise<void> {
    const { recovery } = this.#owner;
    let back: BroughtBack | null = null;
    let failure: Error | null = null;
    try {
      back = await recovery.bringBack();
    } catch (error) {
      failure = error as Error;
    }
    if (this.#phase.name === "over") return;
    const state = isAlive && back?.state === "recovered" ? "rolled_back" : (back?.state ?? "fresh");
    this.#emitTerminal(outcome, { transaction: "rolled_back", state, ...(back ? { back } : {}) });
    // A `result` event says nothing about the state. If the state is not the one before, listeners must be told.
    if (back && outcome.kind === "result" && back.state !== "recovered") {
      recovery.tellReplaced(back, "the state before the execution was gone");
    }
    this.#owner.onEnded(this);
    if (failure) this.#owner.onFailure(failure);
  }

  #outcomeOf(last: LastWord, stop: StopReason | null): Outcome {
    return decideOutcome(last, stop, this.execution.timeoutSeconds);
  }

  #emitTerminal(outcome: Outcome, { transaction, state, back }: Aftermath): void {
    const { events, endedToolCalls } = this.execution;
    const { metrics } = this.#owner.settings;
    const files = this.#fileReport;
    this.#phase = { name: "over" };
    if (outcome.kind === "result") {
      const { message } = outcome;
      events.emit("result", (seq, context) => resultFrame(seq, context, message, transaction, endedToolCalls, files));
      metrics.executionEnded?.(null, message.execution_time);
    } else {
      const fields = {
        ...outcome.failure,
        ...(endedToolCalls.length === 0 ? {} : { tool_calls: endedToolCalls }),
        ...files,
        ...(this.#isStateDiscarded
          ? ({ transaction: "rolled_back", state: "fresh" } as const)
          : { transaction, state }),
        ...(back?.checkpointId && !this.#isStateDiscarded ? { state_checkpoint_id: back.checkpointId } : {}),
        ...(back?.lostExecutions && !this.#isStateDiscarded ? { lost_executions: back.lostExecutions } : {}),
      };
      events.emit("error", (seq, context) => errorFrame(seq, context, fields));
      metrics.executionEnded?.(fields.reason, fields.execution_time);
    }
    this.#owner.onTerminal(this);
  }
}
