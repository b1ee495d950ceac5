/** Owns what happens when an interpreter is lost or ended with work unfinished, and how the next one is brought to where the session was. */
import { type EdgeEnding, endingEvent } from "../clients/edge-frames.ts";
import type { RunnerLink } from "../runner/runner-link.ts";
import type { Incarnation } from "../store/session-table.ts";
import { logFailure } from "./client-stores.ts";
import type { NamedSession } from "./named-session.ts";

const MAX_LOST_LISTED = 1000;

/** Ends what the lost runner had, says what its loss cost, and notes what the next interpreter begins with. */
export function handleLoss(session: NamedSession, reason: string): void {
  const { record, parts } = session;
  session.flush();
  const lost = parts.executions.since(record.name, record.recoveryOrdinal, MAX_LOST_LISTED);
  record.returning = {
    reason,
    lostExecutions: [...(record.returning?.lostExecutions ?? []), ...lost].slice(-MAX_LOST_LISTED),
  };
  endUnfinished(session, lostEnding(session, "The runner that ran this code is gone.", lost));
  record.recoveryOrdinal = parts.executions.lastOrdinal;
  record.isDirty = false;
  session.save();
  session.announce({ state: "suspended", reason, lostExecutions: lost });
}

/** How an execution ends whose runner is gone. */
export function lostEnding(
  { record }: NamedSession,
  message: string,
  lostExecutions: EdgeEnding["lostExecutions"] = [],
): EdgeEnding {
  return {
    exceptionType: "RunnerLost",
    message,
    reason: "runner_lost",
    state: record.recoveryId === null ? "fresh" : "restored",
    checkpointId: record.recoveryId,
    lostExecutions,
  };
}

/** Gives each execution that a runner had its one ending; those that no runner had yet still run. */
export function endUnfinished(session: NamedSession, ending: EdgeEnding): void {
  const { record, journal } = session;
  for (const execution of session.unfinished()) {
    if (session.submissions.isUnsent(execution.executionId)) continue;
    // Above everything that the lost runner may have numbered.
    record.reservedSeq = Math.max(record.reservedSeq, journal.lastSeq) + 1;
    session.intake.take(endingEvent(execution, record.reservedSeq, ending));
  }
  session.save();
  session.flush();
}

/** Brings the state of a new interpreter to where the session was, and tells the clients what came back and what did not. */
export async function prepare(session: NamedSession, link: RunnerLink, incarnation: Incarnation): Promise<void> {
  const { record, checkpointing } = session;
  const { returning } = record;
  const told = { reason: returning?.reason ?? "started", lostExecutions: returning?.lostExecutions };
  session.announce({ state: "starting", reason: told.reason });
  try {
    const recovered = await checkpointing.recover(link, incarnation);
    if (recovered !== null) {
      session.announce({ ...told, state: "restored", checkpointId: recovered.id, missing: recovered.missing });
    } else {
      session.announce({ ...told, state: returning?.reason === "runner_lost" ? "reset" : "ready" });
    }
  } catch (error) {
    // Where only the checkpoint is to blame, the session goes on without it, and says so.
    if (!link.isOpen) throw error;
    logFailure(error);
    await checkpointing.forgetRecovery(false);
    session.announce({ ...told, state: "reset", reason: "checkpoint_unavailable" });
  }
  record.returning = null;
}
