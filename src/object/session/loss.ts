/** Owns the loss of an interpreter: its unfinished executions end, and the next interpreter gets the session's state. */
import { ProblemError } from "../../problem.ts";
import type { CheckpointId, ExecutionId } from "../../protocol/identity.ts";
import type { Missing } from "../../protocol/restored.ts";
import { type EdgeEnding, endingEvent, toolDoneEvent } from "../clients/edge-frames.ts";
import { RequestFailed, type RunnerLink } from "../runner/runner-link.ts";
import type { Incarnation } from "../store/session-table.ts";
import { type Checkpointing, mergeMissing } from "./checkpointing.ts";
import { logFailure } from "./client-stores.ts";
import { endedToolCalls } from "./ended-tool-calls.ts";
import type { EventIntake } from "./event-intake.ts";
import type { SessionContext } from "./session-context.ts";
import type { Submissions } from "./submissions.ts";

const MAX_LOST_LISTED = 1000;
/** Attempts to restore one state, each on a new interpreter, before the session continues without it. */
const MAX_FAILED_RESTORES = 3;

interface Collaborators {
  intake: EventIntake;
  submissions: Submissions;
  checkpointing: Checkpointing;
}

export class Loss {
  readonly #context: SessionContext;
  readonly #intake: EventIntake;
  readonly #submissions: Submissions;
  readonly #checkpointing: Checkpointing;
  /** In a row. */
  #failedRestores = 0;

  constructor(context: SessionContext, { intake, submissions, checkpointing }: Collaborators) {
    this.#context = context;
    this.#intake = intake;
    this.#submissions = submissions;
    this.#checkpointing = checkpointing;
  }

  /** Ends the executions that the lost runner had, tells what was lost, and notes it for the next interpreter. */
  onLoss(reason: string): void {
    const { record, stores } = this.#context;
    this.#context.noteLoss();
    this.#intake.flush();
    const lost = stores.executions.since(record.name, record.recoveryOrdinal, MAX_LOST_LISTED);
    record.returning = {
      reason,
      lostExecutions: [...(record.returning?.lostExecutions ?? []), ...lost].slice(-MAX_LOST_LISTED),
    };
    this.endLost("The runner that ran this code is gone.", lost);
    record.recoveryOrdinal = this.#context.sentOrdinal;
    record.isDirty = false;
    this.#context.save();
    this.#context.announce({ state: "suspended", reason, lostExecutions: lost });
  }

  /** Ends each execution that a lost runner had. */
  endLost(message: string, lostExecutions: EdgeEnding["lostExecutions"] = []): void {
    const { recoveryId } = this.#context.record;
    this.endUnfinished({
      exceptionType: "RunnerLost",
      message,
      reason: "runner_lost",
      state: recoveryId === null ? "fresh" : "restored",
      checkpointId: recoveryId,
      lostExecutions,
    });
  }

  /** Gives each execution that a runner had its one ending. Executions that no runner had yet still run. */
  endUnfinished(ending: EdgeEnding): void {
    const { record, journal, unfinished, pendingTools, stores } = this.#context;
    // Greater than every seq that the lost runner may have used.
    const nextSeq = () => {
      record.reservedSeq = Math.max(record.reservedSeq, journal.lastSeq) + 1;
      return record.reservedSeq;
    };
    for (const execution of unfinished) {
      if (this.#submissions.isUnsent(execution.executionId)) continue;
      const status = ending.reason === "runner_lost" ? "lost" : "cancelled";
      const { executionId } = execution;
      const lost = stores.tools.answersOf(record.name).filter((answer) => answer.executionId === executionId);
      const calls = [...pendingTools.of(executionId)];
      for (const call of calls) this.#intake.take(toolDoneEvent(call, nextSeq(), status));
      for (const { result } of lost) stores.tools.forgetAnswer(result.call_id);
      const ended = endedToolCalls(execution, journal);
      this.#intake.take(endingEvent(execution, nextSeq(), ending, ended));
    }
    this.#context.save();
    this.#intake.flush();
  }

  /** Brings a new interpreter to the session's state, and tells clients what came back and what is missing. */
  async prepare(link: RunnerLink, incarnation: Incarnation): Promise<void> {
    const context = this.#context;
    const { record } = context;
    const { returning } = record;
    const told = { reason: returning?.reason ?? "started", lostExecutions: returning?.lostExecutions };
    context.announce({ state: "starting", reason: told.reason });
    try {
      const recovered = await this.#checkpointing.recover(link, incarnation);
      this.#failedRestores = 0;
      if (returning !== null) this.#noteRestored(told, recovered);
      if (recovered !== null) {
        context.announce({ ...told, state: "restored", checkpointId: recovered.id, missing: recovered.missing });
      } else {
        context.announce({ ...told, state: returning?.reason === "runner_lost" ? "reset" : "ready" });
      }
    } catch (error) {
      if (!link.isOpen || !this.#isCheckpointAtFault(error)) throw error;
      // The session continues without the checkpoint and says so.
      logFailure(error);
      await this.#checkpointing.forgetRecovery(false);
      this.#noteRestored({ ...told, reason: "checkpoint_unavailable" }, null);
      context.announce({ ...told, state: "reset", reason: "checkpoint_unavailable" });
    }
    record.returning = null;
  }

  /**
   * Whether another attempt would fail as well. A runner that is dying ends the interpreter, or breaks the transfer, before the edge
   * notices that the link is closed; a state that kills each interpreter looks the same, so the attempts are counted.
   */
  #isCheckpointAtFault(error: unknown): boolean {
    const code = error instanceof ProblemError ? error.init.code : error instanceof RequestFailed ? error.code : null;
    if (code === "checkpoint_unavailable") return true;
    this.#failedRestores += 1;
    return this.#failedRestores >= MAX_FAILED_RESTORES;
  }

  /**
   * Keeps what clients of REST are told: they get no `session` message. If no execution followed the former restore, its note was told to
   * nobody, and its losses are told together with these.
   */
  #noteRestored(
    told: { reason: string; lostExecutions?: ExecutionId[] | undefined },
    recovered: { id: CheckpointId; missing: Missing[] } | null,
  ): void {
    const { record } = this.#context;
    const untold = record.restored?.executionId === null ? record.restored.note : null;
    const lost = new Set([...(untold?.lost_executions ?? []), ...(told.lostExecutions ?? [])]);
    record.restored = {
      executionId: null,
      note: {
        at: Date.now() / 1000,
        reason: told.reason,
        checkpoint_id: recovered?.id ?? null,
        missing: mergeMissing(untold?.missing ?? [], recovered?.missing ?? []),
        lost_executions: [...lost].slice(-MAX_LOST_LISTED),
      },
    };
  }
}
