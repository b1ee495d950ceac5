/** Owns how a session comes to rest: the link closed in silence, the state stored, the interpreter ended, everything deleted at last. */

import type { RunnerLink } from "../runner/runner-link.ts";
import { logFailure } from "./client-stores.ts";
import { endUnfinished, lostEnding } from "./loss.ts";
import type { NamedSession } from "./named-session.ts";

/** A runner that holds unfinished work without a link is asked after this much, in case it can ring no more. */
const LOOK_AFTER_MS = 60_000;
const LOOK_AT_MOST_EVERY_MS = 15_000;
/** Beyond an execution's own timeout. */
const OVERDUE_MS = 10_000;
/** Accepted work for which no runner was found is given up after this. */
const GIVE_UP_AFTER_MS = 120_000;
/** Automatic checkpoints take at most this share of a session's time. */
const CHECKPOINT_SHARE = 20;
const RETRY_CHECKPOINT_MS = 60_000;

export class IdleWatch {
  readonly #session: NamedSession;
  #noCheckpointBeforeMs = 0;
  #isDraining = false;
  #isBusyResting = false;

  constructor(session: NamedSession) {
    this.#session = session;
  }

  /** When the session next needs looking after, though nobody calls. */
  dueAtMs(): number {
    const { record, parts } = this.#session;
    const now = Date.now();
    const unfinished = this.#session.unfinished();
    const oldest = unfinished[0];
    if (oldest !== undefined) {
      const since = (oldest.startedAt ?? oldest.submittedAt) * 1000;
      return Math.max(
        now + LOOK_AT_MOST_EVERY_MS,
        Math.min(now + LOOK_AFTER_MS, since + oldest.timeout * 1000 + OVERDUE_MS),
      );
    }
    const isRunning = record.phase === "live" || record.phase === "starting";
    const seconds = isRunning ? parts.settings.SESSION_IDLE_SECONDS : parts.settings.SESSION_TTL_SECONDS;
    return record.lastActiveAt * 1000 + seconds * 1000;
  }

  /** Sees to it that the alarm comes in time. */
  schedule(): void {
    this.#session.parts.wantAlarm(this.dueAtMs());
  }

  /** Does what is due. @returns false where the session is over and deleted. */
  async lookAfter(): Promise<boolean> {
    const { record, parts } = this.#session;
    const idleMs = Date.now() - record.lastActiveAt * 1000;
    if (this.#session.unfinishedCount() > 0) {
      await this.#lookAfterWork();
    } else if (record.phase === "live" || record.phase === "starting") {
      if (idleMs >= parts.settings.SESSION_IDLE_SECONDS * 1000 && !(await this.#suspendIfPossible())) {
        // Not now: it is asked again after another idle time.
        this.#session.touch();
      }
    } else if (idleMs >= parts.settings.SESSION_TTL_SECONDS * 1000) {
      await this.expire();
      return false;
    }
    return true;
  }

  /** Nothing came or went on the link for a while. */
  linkIsSilent(link: RunnerLink): void {
    const { record, parts } = this.#session;
    const isBusy = this.#session.unfinishedCount() > 0;
    // The runner holds output back until somebody acknowledges; without the link it would ring in vain.
    if (this.#isBusyResting || (isBusy && link.credit <= 0)) return;
    this.#isBusyResting = true;
    const needsCheckpoint = !isBusy && record.isDirty && Date.now() >= this.#noCheckpointBeforeMs;
    const work = needsCheckpoint ? this.#checkpoint(link) : this.#closeLink(link);
    parts.inBackground(
      work.finally(() => {
        this.#isBusyResting = false;
      }),
    );
  }

  /** The runner is about to stop: the session leaves it as soon as nothing runs. */
  runnerDrains(): void {
    this.#isDraining = true;
    this.executionEnded();
  }

  executionEnded(): void {
    if (!this.#isDraining || this.#session.unfinishedCount() > 0) return;
    this.#session.parts.inBackground(this.suspend("draining"));
  }

  /** Stores the state and ends the interpreter; the next call brings it back. @returns false where something runs, or the state cannot be stored. */
  async suspend(reason: string): Promise<boolean> {
    const session = this.#session;
    const { record, incarnations, checkpointing, parts } = session;
    const link = await incarnations.resume();
    if (link === null) return true;
    if (session.unfinishedCount() > 0) return false;
    const hasLeft = await incarnations.leave("suspended", async () => {
      if (record.isDirty && !(await checkpointing.take(link, "automatic", null)).durable) return false;
      session.flush();
      await parts.ctx.storage.sync();
      record.returning = { reason, lostExecutions: [] };
      return true;
    });
    if (!hasLeft) return false;
    this.#isDraining = false;
    session.announce({ state: "suspended", reason });
    this.schedule();
    return true;
  }

  /** Ends the interpreter for good; with `purge` everything that is stored of the session goes too, but its numbering. */
  async end(purge: boolean, reason: string): Promise<void> {
    const session = this.#session;
    const { record, incarnations, parts } = session;
    await incarnations.leave("ended", async () => true);
    endUnfinished(session, {
      exceptionType: "SessionEnded",
      message: "The session was ended.",
      reason: "cancelled",
      state: "fresh",
      checkpointId: null,
      lostExecutions: [],
    });
    await session.checkpointing.forgetRecovery(false);
    record.returning = null;
    session.isClaimed = false;
    if (purge) {
      session.journal.clear();
      parts.executions.clear(record.name);
      await parts.checkpoints.clear(record.name);
    }
    session.save();
    session.announce({ state: "ended", reason });
    this.schedule();
  }

  /** Deletes everything that the object knows of the session. */
  async expire(): Promise<void> {
    const { record, parts } = this.#session;
    await this.end(true, "expired");
    parts.table.delete(record.name);
  }

  async #suspendIfPossible(): Promise<boolean> {
    try {
      return await this.suspend("idle");
    } catch (error) {
      logFailure(error);
      return false;
    }
  }

  async #checkpoint(link: RunnerLink): Promise<void> {
    const startedMs = Date.now();
    try {
      const { durable } = await this.#session.checkpointing.take(link, "automatic", null);
      const tookMs = Date.now() - startedMs;
      this.#noCheckpointBeforeMs = Date.now() + (durable ? tookMs * CHECKPOINT_SHARE : RETRY_CHECKPOINT_MS);
    } catch (error) {
      this.#noCheckpointBeforeMs = Date.now() + RETRY_CHECKPOINT_MS;
      throw error;
    }
  }

  async #closeLink(link: RunnerLink): Promise<void> {
    const session = this.#session;
    session.flush();
    const { lastSeq } = session.journal;
    const changes = session.changes();
    await session.intake.tellDurable();
    const isStillSilent = session.journal.lastSeq === lastSeq && session.changes() === changes && !link.hasWaiting;
    if (!isStillSilent || session.incarnations.ready !== link) return;
    session.incarnations.closeLink(link);
    this.schedule();
  }

  async #lookAfterWork(): Promise<void> {
    const session = this.#session;
    try {
      // Either finds the runner gone, or takes what it has to say.
      if ((await session.incarnations.resume()) === null && session.unfinishedCount() > 0) {
        await session.incarnations.ensure();
      }
    } catch (error) {
      logFailure(error);
      const oldest = session.unfinished()[0];
      if (oldest === undefined || Date.now() - oldest.submittedAt * 1000 < GIVE_UP_AFTER_MS) return;
      endUnfinished(session, lostEnding(session, "No runner could be found."));
    }
  }
}
