/** Owns a session's link to its interpreter: starts the interpreter, opens the link, notices its loss, ends both. */
import { sleep } from "../../deadline.ts";
import { reportUnreachable } from "../../fleet/fleet-calls.ts";
import { edgeMetrics } from "../../metrics.ts";
import type { SessionKey } from "../../protocol/link.ts";
import { exportSpans, startSpan } from "../../trace.ts";
import { LinkError, type RunnerLink } from "../runner/runner-link.ts";
import type { Incarnation, SessionPhase } from "../store/session-table.ts";
import { openLink, type SessionLinkListener } from "./open-link.ts";
import { LostRunner, RunnerSearch } from "./runner-search.ts";
import type { SessionContext } from "./session-context.ts";

/** Pauses between attempts to reach a runner that held the session a moment ago. */
const RETRY_PAUSES_MS = [0, 100, 250, 500, 1000, 1500];
const RESUME_DEADLINE_MS = 10_000;
const ATTEMPT_DEADLINE_MS = 4000;
/** A runner under load may have to start an interpreter first. */
const START_DEADLINE_MS = 40_000;

/**
 * A link that breaks this soon after it came up, may break again for the same reason. So it is opened again after a pause, which
 * doubles from link to link.
 */
const SHORT_LIFE_MS = 500;
const SHORT_LIFE_PAUSE_MS = { first: 200, longest: 3200 };

export interface IncarnationHandlers {
  listener(): SessionLinkListener;
  /** Prepares what a new link is sent first. */
  beforeOpen(): Promise<void>;
  /** Brings a new interpreter to the state in which the session was, and tells the clients. */
  prepare(link: RunnerLink, incarnation: Incarnation): Promise<void>;
  /** The interpreter is gone with its runner. */
  onLoss(reason: string): void;
}

/** `down`: no link. `leaving`: the interpreter is being ended, so nobody may use its link. */
type State =
  | { kind: "down" }
  | { kind: "resuming"; done: Promise<RunnerLink | null> }
  | { kind: "ensuring"; done: Promise<RunnerLink> }
  | { kind: "up"; link: RunnerLink }
  | { kind: "leaving"; done: Promise<void> };

const DOWN: State = { kind: "down" };

export class Incarnations {
  readonly #context: SessionContext;
  readonly #handlers: IncarnationHandlers;
  readonly #lostRunner = new LostRunner();
  #state: State = DOWN;
  #upSinceMs = 0;
  /** The pause before the next link is opened, and when it ends. */
  #pause = { ms: 0, untilMs: 0 };

  constructor(context: SessionContext, handlers: IncarnationHandlers) {
    this.#context = context;
    this.#handlers = handlers;
  }

  /** The link, if it can take requests right now. */
  get ready(): RunnerLink | null {
    return this.#state.kind === "up" && this.#state.link.isOpen ? this.#state.link : null;
  }

  /** Opens a link to the existing interpreter. @returns null if there is none any more. */
  async resume(): Promise<RunnerLink | null> {
    for (;;) {
      const state = this.#state;
      switch (state.kind) {
        case "up":
          if (state.link.isOpen) return state.link;
          this.#state = DOWN;
          break;
        case "leaving":
          await state.done;
          break;
        case "resuming":
        case "ensuring":
          return state.done;
        case "down": {
          const done = this.#resume().finally(() => this.#settle(next));
          const next: State = { kind: "resuming", done };
          this.#state = next;
          return done;
        }
        default:
          state satisfies never;
      }
    }
  }

  /** Opens a link, if need be to a new interpreter. @throws ProblemError, LinkError. */
  async ensure(): Promise<RunnerLink> {
    for (;;) {
      const state = this.#state;
      switch (state.kind) {
        case "up":
          if (state.link.isOpen) return state.link;
          this.#state = DOWN;
          break;
        case "leaving":
          await state.done;
          break;
        case "resuming": {
          const link = await state.done;
          if (link !== null) return link;
          break;
        }
        case "ensuring":
          return state.done;
        case "down": {
          const done = this.#ensure().finally(() => this.#settle(next));
          const next: State = { kind: "ensuring", done };
          this.#state = next;
          return done;
        }
        default:
          state satisfies never;
      }
    }
  }

  /** Forgets a link. */
  drop(link: RunnerLink): void {
    if (this.#state.kind === "up" && this.#state.link === link) this.#state = DOWN;
  }

  /** Forgets a link that broke. */
  noteBroken(link: RunnerLink): void {
    this.drop(link);
    const nowMs = Date.now();
    const { first, longest } = SHORT_LIFE_PAUSE_MS;
    const ms = nowMs - this.#upSinceMs < SHORT_LIFE_MS ? Math.min(longest, Math.max(first, 2 * this.#pause.ms)) : 0;
    this.#pause = { ms, untilMs: nowMs + ms };
  }

  /** Closes the link while the interpreter lives on. The runner rings when it has news. */
  closeLink(link: RunnerLink): void {
    this.drop(link);
    this.#context.record.isLinked = false;
    this.#context.save();
    link.close();
  }

  /**
   * Ends the interpreter. Nobody gets the link while `before` runs. If `before` returns false, the session stays as it was.
   *
   * @returns whether the interpreter was ended.
   */
  async leave(phase: SessionPhase, before: (link: RunnerLink | null) => Promise<boolean>): Promise<boolean> {
    while (this.#state.kind !== "up" && this.#state.kind !== "down") {
      await Promise.allSettled([this.#state.done]);
    }
    const link = this.ready;
    const left = Promise.withResolvers<void>();
    this.#state = { kind: "leaving", done: left.promise };
    let hasLeft = false;
    try {
      hasLeft = await before(link);
      if (hasLeft) this.#end(phase, link);
      return hasLeft;
    } finally {
      this.#state = !hasLeft && link?.isOpen ? { kind: "up", link } : DOWN;
      left.resolve();
    }
  }

  /** After an attempt to open a link: if it did not come up, there is none. */
  #settle(attempt: State): void {
    if (this.#state === attempt) this.#state = DOWN;
  }

  #end(phase: SessionPhase, link: RunnerLink | null): void {
    const { record, stores } = this.#context;
    const { incarnation } = record;
    record.incarnation = null;
    record.phase = phase;
    record.isLinked = false;
    this.#context.save();
    link?.close();
    if (incarnation !== null) stores.ctx.waitUntil(stores.runnerCalls.endSession(incarnation));
  }

  async #ensure(): Promise<RunnerLink> {
    return (await this.#resume()) ?? this.#start();
  }

  async #resume(): Promise<RunnerLink | null> {
    const { record } = this.#context;
    const { incarnation } = record;
    if (incarnation === null) return null;
    if (record.phase === "starting") {
      // The object was evicted while it prepared this interpreter, so nobody knows the interpreter's state.
      this.#end("suspended", null);
      return null;
    }
    const pauseMs = this.#pause.untilMs - Date.now();
    if (pauseMs > 0) await sleep(pauseMs);
    const deadline = Date.now() + RESUME_DEADLINE_MS;
    let isUnreachable = false;
    for (const retryMs of RETRY_PAUSES_MS) {
      if (Date.now() > deadline) break;
      if (retryMs > 0) await sleep(retryMs);
      try {
        const link = await this.#open(incarnation, false, ATTEMPT_DEADLINE_MS);
        this.#becomeReady(link, false);
        return link;
      } catch (error) {
        if (!(error instanceof LinkError)) throw error;
        if (error.fault === "not_found") break;
        isUnreachable = true;
      }
    }
    if (isUnreachable) this.#giveUp(incarnation);
    record.incarnation = null;
    record.phase = "suspended";
    record.isLinked = false;
    edgeMetrics.losses.add();
    this.#handlers.onLoss("runner_lost");
    return null;
  }

  /**
   * Leaves an interpreter whose runner does not answer. Nothing that it sends is taken any more, since its key is not the
   * session's. A runner that was only suspended (SIGSTOP) finds the order to end the session when it goes on.
   */
  #giveUp(incarnation: Incarnation): void {
    const { stores } = this.#context;
    this.#lostRunner.note();
    stores.inBackground(reportUnreachable(stores.env, incarnation.runnerId));
    stores.ctx.waitUntil(stores.runnerCalls.endSession(incarnation));
  }

  async #start(): Promise<RunnerLink> {
    const { stores, record } = this.#context;
    const span = startSpan(stores.settings, "start interpreter", "client", stores.cause?.traceparent);
    const startedMs = Date.now();
    let outcome = "failed";
    try {
      await stores.tenant.admit("sessions", record.name);
      const link = await this.#place(span.traceparent);
      outcome = "started";
      edgeMetrics.startSeconds.observe((Date.now() - startedMs) / 1000);
      return link;
    } finally {
      edgeMetrics.starts.add({ outcome });
      span.end(
        { "pyrepl.outcome": outcome, "pyrepl.runner": record.incarnation?.runnerId ?? "" },
        outcome === "failed",
      );
      exportSpans(stores.settings, (work) => stores.ctx.waitUntil(work));
      this.#context.unclaim();
    }
  }

  async #place(traceparent: string | undefined): Promise<RunnerLink> {
    const { record } = this.#context;
    const former = record.phase;
    const search = new RunnerSearch(this.#context, this.#lostRunner);
    let unprepared: { error: unknown } | null = null;
    for (let placed = await search.next(); placed !== null; placed = await search.next()) {
      const incarnation: Incarnation = {
        key: newKey(),
        runnerId: placed.id,
        runnerUrl: placed.url,
        runnerVersion: "",
      };
      record.phase = "starting";
      record.incarnation = incarnation;
      let link: RunnerLink;
      try {
        link = await this.#open(incarnation, true, START_DEADLINE_MS, traceparent);
      } catch (error) {
        record.phase = former;
        record.incarnation = null;
        this.#context.save();
        if (!(error instanceof LinkError)) throw error;
        if (error.fault === "late" || error.fault === "unreachable") this.#giveUp(incarnation);
        search.noteRefusal(error);
        continue;
      }
      try {
        await this.#handlers.prepare(link, incarnation);
      } catch (error) {
        // The runner died, or ended the interpreter, before it had the session's state. The state is still stored.
        this.#end(former, link);
        unprepared = { error };
        search.forgive();
        continue;
      }
      record.phase = "live";
      this.#context.save();
      this.#becomeReady(link, true);
      return link;
    }
    if (unprepared !== null) throw unprepared.error;
    throw search.failure;
  }

  async #open(incarnation: Incarnation, isNew: boolean, deadlineMs: number, traceparent?: string): Promise<RunnerLink> {
    const requestId = this.#context.stores.cause?.requestId;
    const listener = this.#handlers.listener();
    await this.#handlers.beforeOpen();
    return openLink(this.#context, incarnation, { isNew, deadlineMs, requestId, traceparent, listener });
  }

  #becomeReady(link: RunnerLink, isNew: boolean): void {
    this.#state = { kind: "up", link };
    this.#upSinceMs = Date.now();
    this.#handlers.listener().onReady(link, isNew);
  }
}

/** Unguessable, never used again. */
function newKey(): SessionKey {
  return `s_${crypto.randomUUID().replaceAll("-", "")}` as SessionKey;
}
