/** Owns how a session reacts to its runner link: it takes events in, handles the runner's notices and grants credit. */

import { waitAtMost } from "../../deadline.ts";
import { takeTurn } from "../../pace.ts";
import type { ExecutionId } from "../../protocol/identity.ts";
import type { LinkEvent, LinkReply } from "../../protocol/link.ts";
import type { Opened, RunnerLink } from "../runner/runner-link.ts";
import type { EventIntake } from "./event-intake.ts";
import type { Incarnations } from "./incarnations.ts";
import type { SessionLinkListener } from "./open-link.ts";
import type { SessionContext } from "./session-context.ts";
import type { SessionEnv } from "./session-env.ts";
import type { Submissions } from "./submissions.ts";

/**
 * The runner gets credit in portions, and a portion only after the one before was used up. While the runner waits, the link runs dry, and
 * the other objects of this process get their turn: workerd does not look at other sockets while one has data. A portion of small
 * events takes longer than one of large events, so it has fewer bytes.
 */
const PORTION_BYTES = 1024 * 1024;
const SMALL_EVENTS_PORTION_BYTES = 128 * 1024;
const SMALL_EVENT_BYTES = 4 * 1024;
/** Each event goes to every socket. With more sockets than this a portion is smaller, and what was sent counts as heavy work. */
const FULL_PORTION_SOCKETS = 4;
/** Less is not worth a frame, unless the target itself is small. */
const CREDIT_STEP_BYTES = 64 * 1024;
const BACKLOG_DEADLINE_MS = 5000;

interface Collaborators {
  incarnations: Incarnations;
  intake: EventIntake;
  submissions: Submissions;
  env: SessionEnv;
}

export interface LinkHandlers {
  /** Nothing came or went for a while. */
  onIdle(link: RunnerLink): void;
  /** The runner will stop soon. */
  onDrain(): void;
  /** Another session needs the place of this one. */
  onGiveWay(): void;
  onReady(link: RunnerLink, isNew: boolean): void;
}

export class LinkEvents implements SessionLinkListener {
  readonly #context: SessionContext;
  readonly #incarnations: Incarnations;
  readonly #intake: EventIntake;
  readonly #submissions: Submissions;
  readonly #env: SessionEnv;
  readonly #handlers: LinkHandlers;
  /** What the runner said it runs or queues when the link opened. */
  #known = new Set<ExecutionId>();
  /** Until the runner has sent what it held when the link opened. */
  #backlog: (PromiseWithResolvers<void> & { until: number }) | null = null;
  #stallTimer: ReturnType<typeof setTimeout> | null = null;
  /** Events since the last grant, and their bytes. */
  #portionEvents = 0;
  #portionBytes = 0;
  #grantTimer: ReturnType<typeof setTimeout> | null = null;
  /** When the runner may get credit again. */
  #nextPortionMs = 0;
  #toldFrameLimit = 0;
  #toldOutputLimit = "null";

  constructor(
    context: SessionContext,
    { incarnations, intake, submissions, env }: Collaborators,
    handlers: LinkHandlers,
  ) {
    this.#context = context;
    this.#incarnations = incarnations;
    this.#intake = intake;
    this.#submissions = submissions;
    this.#env = env;
    this.#handlers = handlers;
  }

  onOpened(_link: RunnerLink, opened: Opened): void {
    const { record, journal, pendingInputs, pendingTools, stores } = this.#context;
    if (record.incarnation !== null) {
      record.incarnation.runnerId = opened.runner_id;
      record.incarnation.runnerVersion = opened.version;
    }
    pendingInputs.replace(opened.pending_input);
    pendingTools.replace(opened.pending_tool_calls.filter((call) => !stores.tools.isAnswered(call.call_id)));
    if (opened.running !== null && opened.running_since !== null) {
      this.#intake.noteStarted(opened.running, opened.running_since);
    }
    this.#toldFrameLimit = 0;
    this.#toldOutputLimit = "null";
    this.#known = new Set([...opened.queued, ...(opened.running === null ? [] : [opened.running])]);
    this.endBacklog();
    if (opened.last_seq > journal.lastSeq) this.#backlog = { ...Promise.withResolvers<void>(), until: opened.last_seq };
  }

  onEvent(link: RunnerLink, { seq, type, executionId, frame, bytes, startedAt }: LinkEvent): void {
    if (seq > this.#context.journal.lastSeq) {
      this.#intake.take({ kind: "event", seq, type, executionId, frame, bytes }, startedAt);
    }
    if (this.#backlog !== null && seq >= this.#backlog.until) this.endBacklog();
    this.#portionEvents += 1;
    this.#portionBytes += bytes;
    if (link.credit <= 0 && this.#grantTimer === null) this.#grantLater(this.#countFanOut());
  }

  onReply(_link: RunnerLink, reply: LinkReply): void {
    switch (reply.type) {
      case "started":
        this.#intake.noteStarted(reply.execution_id, reply.started_at);
        return;
      case "session":
        this.#onRunnerState(reply);
        return;
      case "draining":
        this.#handlers.onDrain();
        return;
      case "give_way":
        this.#handlers.onGiveWay();
        return;
      case "failed":
        this.#submissions.onRefused(reply.ref as ExecutionId, { code: reply.code, detail: reply.detail });
        return;
      case "opened":
      case "refused":
      case "done":
      case "completions":
      case "completeness":
      case "variables":
      case "checkpoint_taken":
      case "restored":
      case "undone":
      case "blob_required":
      case "status":
        // The answer to a request that has timed out.
        return;
      default:
        reply satisfies never;
    }
  }

  onIdle(link: RunnerLink): void {
    this.#handlers.onIdle(link);
  }

  onClosed(link: RunnerLink): void {
    this.#incarnations.noteBroken(link);
    this.endBacklog();
    // A client waits for running code. If nothing runs, the next call finds the link closed.
    if (this.#context.unfinishedCount > 0) this.#context.stores.inBackground(this.#incarnations.resume());
  }

  onReady(link: RunnerLink, isNew: boolean): void {
    if (isNew) this.#known.clear();
    this.#env.tell(link);
    this.#submissions.sendAll(link, this.#known);
    this.#context.noteActivity();
    this.updateCredit();
    this.#handlers.onReady(link, isNew);
  }

  openingCredit(): number {
    return Math.min(PORTION_BYTES, this.#context.delivery.creditTarget(Date.now()));
  }

  /** Grants the runner credit for the bytes that the consumers can take now. */
  updateCredit(): void {
    if (this.#grantTimer !== null) clearTimeout(this.#grantTimer);
    this.#grantTimer = null;
    const { delivery } = this.#context;
    const link = this.#incarnations.ready;
    if (link === null) return;
    const frameLimit = delivery.frameLimit();
    if (frameLimit !== this.#toldFrameLimit) link.tell({ type: "frame_limit", bytes: frameLimit });
    this.#toldFrameLimit = frameLimit;
    const nowMs = Date.now();
    const limit = delivery.outputLimit(nowMs);
    const toldLimit = JSON.stringify(limit);
    if (toldLimit !== this.#toldOutputLimit) link.tell({ type: "keep_output", limit });
    this.#toldOutputLimit = toldLimit;
    const waitMs = this.#nextPortionMs - nowMs;
    if (waitMs > 0) this.#grantLater(waitMs);
    else if (link.credit <= 0) this.#grantPortion(link, delivery.creditTarget(nowMs));
    const { stallEndsAtMs } = delivery;
    if (stallEndsAtMs === null || stallEndsAtMs <= nowMs || this.#stallTimer !== null) return;
    this.#stallTimer = setTimeout(
      () => {
        this.#stallTimer = null;
        this.updateCredit();
      },
      stallEndsAtMs - nowMs + 1,
    );
  }

  #grantLater(waitMs: number): void {
    this.#grantTimer = setTimeout(() => this.updateCredit(), waitMs);
  }

  /** Counts a portion that went to many sockets. @returns the milliseconds to wait before the next one. */
  #countFanOut(): number {
    const { size } = this.#context.delivery.sockets;
    const waitMs = size > FULL_PORTION_SOCKETS ? takeTurn(this.#portionBytes * size) : 0;
    this.#nextPortionMs = Date.now() + waitMs;
    return waitMs;
  }

  #grantPortion(link: RunnerLink, target: number): void {
    const areSmall = this.#portionBytes < this.#portionEvents * SMALL_EVENT_BYTES;
    const share = Math.max(1, this.#context.delivery.sockets.size / FULL_PORTION_SOCKETS);
    const portion = Math.min(target, Math.floor((areSmall ? SMALL_EVENTS_PORTION_BYTES : PORTION_BYTES) / share));
    const due = portion - link.credit;
    if (portion <= 0 || due < Math.min(CREDIT_STEP_BYTES, portion / 4)) return;
    link.grant(due);
    this.#portionEvents = 0;
    this.#portionBytes = 0;
  }

  /** True while the runner is sending what it held when the link opened. */
  get hasBacklog(): boolean {
    return this.#backlog !== null;
  }

  /** Waits for the events that the runner held when the link opened. Without credit, they come later. */
  async backlogIsIn(): Promise<void> {
    if (this.#backlog !== null) await waitAtMost(this.#backlog.promise, BACKLOG_DEADLINE_MS);
  }

  endBacklog(): void {
    this.#backlog?.resolve();
    this.#backlog = null;
  }

  #onRunnerState({ state, reason }: Extract<LinkReply, { type: "session" }>): void {
    const context = this.#context;
    if (!context.isChangingState && context.record.phase === "live") context.announce({ state, reason });
  }
}
