/** Owns the steps for an idle session: close its link, store its state, end its interpreter, and finally delete everything. */

import { DEFAULT_ENVIRONMENT } from "../../protocol/session-resource.ts";
import type { RunnerLink } from "../runner/runner-link.ts";
import { Autosave } from "./autosave.ts";
import type { Checkpointing } from "./checkpointing.ts";
import { logFailure } from "./client-stores.ts";
import type { EventIntake } from "./event-intake.ts";
import type { Incarnations } from "./incarnations.ts";
import type { Loss } from "./loss.ts";
import { isSaveDue } from "./save-backoff.ts";
import type { SessionContext } from "./session-context.ts";
import type { SessionEnv } from "./session-env.ts";

/** A runner with unfinished work and no link is contacted after this time, in case it can no longer ring. */
const LOOK_AFTER_MS = 60_000;
const LOOK_AT_MOST_EVERY_MS = 15_000;
/** Beyond an execution's own timeout. */
const OVERDUE_MS = 10_000;
/** Accepted work for which no runner is found fails after this time. */
const GIVE_UP_AFTER_MS = 120_000;

interface Collaborators {
  incarnations: Incarnations;
  intake: EventIntake;
  checkpointing: Checkpointing;
  loss: Loss;
  env: SessionEnv;
}

export class IdleWatch {
  readonly #context: SessionContext;
  readonly #incarnations: Incarnations;
  readonly #intake: EventIntake;
  readonly #checkpointing: Checkpointing;
  readonly #autosave: Autosave;
  readonly #loss: Loss;
  readonly #env: SessionEnv;
  #lookedAfterMs = 0;
  #isDraining = false;
  #isClosingLink = false;

  constructor(context: SessionContext, { incarnations, intake, checkpointing, loss, env }: Collaborators) {
    this.#context = context;
    this.#incarnations = incarnations;
    this.#intake = intake;
    this.#checkpointing = checkpointing;
    this.#autosave = new Autosave(context, incarnations, checkpointing);
    this.#loss = loss;
    this.#env = env;
  }

  /** When the alarm must look after the session, even if nobody calls. */
  get dueAtMs(): number {
    const { record, stores, unfinished } = this.#context;
    const oldest = unfinished[0];
    if (oldest !== undefined) {
      const since = (oldest.startedAt ?? oldest.submittedAt) * 1000;
      const lastContactMs = Math.max(record.lastActiveAt * 1000, this.#lookedAfterMs);
      return Math.max(
        this.#lookedAfterMs + LOOK_AT_MOST_EVERY_MS,
        Math.min(lastContactMs + LOOK_AFTER_MS, since + oldest.timeout * 1000 + OVERDUE_MS),
      );
    }
    const isRunning = record.phase === "live" || record.phase === "starting";
    const seconds = isRunning ? this.#idleSeconds : stores.settings.SESSION_TTL_SECONDS;
    const dueAtMs = record.lastActiveAt * 1000 + seconds * 1000;
    return isRunning ? Math.max(dueAtMs, (record.saveFailure?.nextAttemptAt ?? 0) * 1000) : dueAtMs;
  }

  get #idleSeconds(): number {
    const { record, stores } = this.#context;
    return record.idleSeconds ?? stores.settings.SESSION_IDLE_SECONDS;
  }

  /** Makes sure that the alarm comes in time. */
  schedule(): void {
    this.#context.stores.wantAlarm(this.dueAtMs);
  }

  /** Does what is due. @returns false if the session was deleted. */
  async lookAfter(): Promise<boolean> {
    const { record, stores, unfinishedCount } = this.#context;
    const idleMs = Date.now() - record.lastActiveAt * 1000;
    if (unfinishedCount > 0) {
      await this.#lookAfterWork();
    } else if (record.phase === "live" || record.phase === "starting") {
      const isDue = idleMs >= this.#idleSeconds * 1000 && isSaveDue(record);
      if (isDue && !(await this.#suspendIfPossible("idle"))) {
        // Tried again after another idle time.
        this.#context.touch();
      }
    } else if (idleMs >= stores.settings.SESSION_TTL_SECONDS * 1000) {
      await this.expire();
      return false;
    }
    return true;
  }

  /** Nothing came or went on the link for a while. */
  onLinkIdle(link: RunnerLink): void {
    const { record, stores, unfinishedCount } = this.#context;
    const isBusy = unfinishedCount > 0;
    // The runner holds output back until a client acknowledges. Without a link it would ring for nothing.
    if (this.#isClosingLink || this.#autosave.isSaving || (isBusy && link.credit <= 0)) return;
    if (!isBusy && record.isDirty && isSaveDue(record)) {
      // The link is closed after the next silence.
      this.#autosave.saveSoon();
      return;
    }
    this.#isClosingLink = true;
    stores.inBackground(
      this.#closeLink(link).finally(() => {
        this.#isClosingLink = false;
      }),
    );
  }

  /** The runner is about to stop: the session leaves it as soon as nothing runs. */
  onDrain(): void {
    this.#isDraining = true;
    this.onWorkEnded();
  }

  /** The runner needs this session's place for another one. */
  onGiveWay(): void {
    this.#context.stores.inBackground(this.#giveWay());
  }

  /** An execution or a call on files has ended. */
  onWorkEnded(): void {
    if (this.#context.isAtWork) return;
    if (this.#isDraining) this.#context.stores.inBackground(this.suspend("draining"));
    else this.#autosave.schedule();
  }

  /** Stores the state and ends the interpreter; the next call brings it back. @returns false if code runs or the state cannot be stored. */
  async suspend(reason: string): Promise<boolean> {
    const { record, stores } = this.#context;
    const link = await this.#incarnations.resume();
    if (link === null) return true;
    if (this.#context.isAtWork) return false;
    const hasLeft = await this.#incarnations.leave("suspended", async () => {
      // A session that was used meanwhile stays where it is, unless its runner stops.
      if (reason === "room_needed" && this.#context.isAtWork) return false;
      if (record.isDirty && !(await this.#autosave.save(link))) return false;
      this.#intake.flush();
      await stores.ctx.storage.sync();
      record.returning = { reason, lostExecutions: [] };
      return true;
    });
    if (!hasLeft) return false;
    this.#isDraining = false;
    this.#context.announce({ state: "suspended", reason });
    this.schedule();
    return true;
  }

  /** Ends the interpreter for good; with `purge`, deletes everything stored of the session except its numbering. */
  async end(purge: boolean, reason: string): Promise<void> {
    const context = this.#context;
    const { record, stores } = context;
    await this.#incarnations.leave("ended", async () => true);
    this.#loss.endUnfinished({
      exceptionType: "SessionEnded",
      message: "The session was ended.",
      reason: "cancelled",
      state: "fresh",
      checkpointId: null,
      lostExecutions: [],
    });
    await this.#checkpointing.forgetRecovery(false);
    record.returning = null;
    record.restored = null;
    context.unclaim();
    if (purge) {
      context.journal.purge();
      context.pendingInputs.clear();
      context.pendingTools.clear();
      stores.tools.clear(record.name);
      this.#env.clear();
      record.environment = DEFAULT_ENVIRONMENT;
      record.region = undefined;
      record.idleSeconds = null;
      stores.executions.clear(record.name);
      await stores.checkpoints.clear(record.name);
      stores.inBackground(stores.storage.settle());
      stores.scrubSoon();
    }
    context.save();
    context.announce({ state: "ended", reason });
    this.schedule();
  }

  /** Deletes everything that the object knows of the session. */
  async expire(): Promise<void> {
    const { record, stores } = this.#context;
    await this.end(true, "expired");
    this.#context.journal.delete();
    stores.table.delete(record.name);
  }

  async #giveWay(): Promise<void> {
    const { record, isAtWork } = this.#context;
    const mayLeave = !isAtWork && isSaveDue(record);
    if (mayLeave && (await this.#suspendIfPossible("room_needed"))) return;
    this.#incarnations.ready?.tell({ type: "stay" });
  }

  async #suspendIfPossible(reason: string): Promise<boolean> {
    try {
      return await this.suspend(reason);
    } catch (error) {
      logFailure(error);
      return false;
    }
  }

  async #closeLink(link: RunnerLink): Promise<void> {
    const { journal, changes } = this.#context;
    this.#intake.flush();
    const { lastSeq } = journal;
    await this.#intake.tellDurable();
    const isStillSilent = journal.lastSeq === lastSeq && this.#context.changes === changes && !link.hasWaiting;
    if (!isStillSilent || this.#incarnations.ready !== link) return;
    this.#incarnations.closeLink(link);
    this.schedule();
  }

  async #lookAfterWork(): Promise<void> {
    const context = this.#context;
    this.#lookedAfterMs = Date.now();
    try {
      // Either finds that the runner is gone, or fetches its news.
      if ((await this.#incarnations.resume()) === null && context.unfinishedCount > 0) {
        await this.#incarnations.ensure();
      }
    } catch (error) {
      logFailure(error);
      const oldest = context.unfinished[0];
      if (oldest === undefined || Date.now() - oldest.submittedAt * 1000 < GIVE_UP_AFTER_MS) return;
      this.#loss.endLost("No runner could be found.");
    }
  }
}
