/** Owns what a session makes of its link: events on their way in, what the runner tells, what it still holds, and the credit it gets. */

import type { ExecutionId } from "../../protocol/identity.ts";
import type { LinkEvent, LinkReply } from "../../protocol/link.ts";
import type { Delivery } from "../clients/delivery.ts";
import type { LinkListener, Opened, RunnerLink } from "../runner/runner-link.ts";
import type { Journal } from "../store/journal.ts";
import type { SessionRecord } from "../store/session-table.ts";
import type { ClientStores } from "./client-stores.ts";
import type { EventIntake } from "./event-intake.ts";
import type { IdleWatch } from "./idle.ts";
import type { Incarnations } from "./incarnations.ts";
import type { Submissions } from "./submissions.ts";

/** Credit is counted anew when less than this is left. */
const CREDIT_LOW_BYTES = 512 * 1024;
/** Less is not worth a frame, unless the target itself is small. */
const CREDIT_STEP_BYTES = 64 * 1024;
const BACKLOG_DEADLINE_MS = 5000;
const SHORT_LIFE_MS = 500;
const SHORT_LIFE_PAUSE_MS = 200;

export interface LinkEventsHost {
  readonly parts: ClientStores;
  readonly record: SessionRecord;
  readonly journal: Journal;
  readonly delivery: Delivery;
  readonly incarnations: Incarnations;
  readonly submissions: Submissions;
  readonly intake: EventIntake;
  readonly rest: IdleWatch;
  unfinishedCount(): number;
  noteActivity(): void;
  /** The runner says what its session does now. */
  runnerSays(state: Extract<LinkReply, { type: "session" }>): void;
}

export class LinkEvents implements LinkListener {
  readonly #host: LinkEventsHost;
  /** What the runner said it runs or queues when the link opened. */
  #known = new Set<ExecutionId>();
  /** Until the runner has sent what it held when the link opened. */
  #backlog: (PromiseWithResolvers<void> & { until: number }) | null = null;
  #openedAtMs = 0;
  #stallTimer: ReturnType<typeof setTimeout> | null = null;
  #toldFrameLimit = 0;

  constructor(host: LinkEventsHost) {
    this.#host = host;
  }

  opened(_link: RunnerLink, opened: Opened): void {
    const { record, parts, journal } = this.#host;
    if (record.incarnation !== null) {
      record.incarnation.runnerId = opened.runner_id;
      record.incarnation.runnerVersion = opened.version;
    }
    parts.executions.setPendingInput(record.name, opened.pending_input);
    if (opened.running !== null && opened.running_since !== null) {
      this.#host.intake.noteStarted(opened.running, opened.running_since);
    }
    this.#toldFrameLimit = 0;
    this.#known = new Set([...opened.queued, ...(opened.running === null ? [] : [opened.running])]);
    this.#openedAtMs = Date.now();
    this.endBacklog();
    if (opened.last_seq > journal.lastSeq) this.#backlog = { ...Promise.withResolvers<void>(), until: opened.last_seq };
  }

  event(link: RunnerLink, { seq, type, executionId, frame, bytes, startedAt }: LinkEvent): void {
    if (seq > this.#host.journal.lastSeq) {
      this.#host.intake.take({ kind: "event", seq, type, executionId, frame, bytes }, startedAt);
    }
    if (this.#backlog !== null && seq >= this.#backlog.until) this.endBacklog();
    if (link.credit < CREDIT_LOW_BYTES) this.updateCredit();
  }

  told(_link: RunnerLink, reply: LinkReply): void {
    switch (reply.type) {
      case "started":
        this.#host.intake.noteStarted(reply.execution_id, reply.started_at);
        return;
      case "session":
        this.#host.runnerSays(reply);
        return;
      case "draining":
        this.#host.rest.runnerDrains();
        return;
      case "failed":
        this.#host.submissions.refused(reply.ref as ExecutionId, { code: reply.code, detail: reply.detail });
        return;
      case "opened":
      case "refused":
      case "done":
      case "completions":
      case "completeness":
      case "checkpoint_taken":
      case "restored":
      case "blob_required":
      case "status":
        // An answer whose asker has stopped waiting.
        return;
      default:
        reply satisfies never;
    }
  }

  silent(link: RunnerLink): void {
    this.#host.rest.linkIsSilent(link);
  }

  lost(link: RunnerLink): void {
    const { incarnations, parts } = this.#host;
    incarnations.drop(link);
    this.endBacklog();
    // Somebody waits for what runs there; otherwise the next call finds out.
    if (this.#host.unfinishedCount() > 0) parts.inBackground(this.#resumeSoon());
  }

  /** A link that breaks as soon as it is open is not opened again and again without a pause. */
  async #resumeSoon(): Promise<void> {
    if (Date.now() - this.#openedAtMs < SHORT_LIFE_MS) {
      await new Promise<void>((resolve) => setTimeout(resolve, SHORT_LIFE_PAUSE_MS));
    }
    await this.#host.incarnations.resume();
  }

  becameReady(link: RunnerLink, isNew: boolean): void {
    if (isNew) this.#known.clear();
    this.#host.submissions.sendAll(link, this.#known);
    this.#host.noteActivity();
    this.updateCredit();
    this.#host.rest.schedule();
  }

  creditToOpenWith(): number {
    return this.#host.delivery.creditTarget(Date.now());
  }

  /** Grants what the consumers have room for by now. */
  updateCredit(): void {
    const { incarnations, delivery } = this.#host;
    const link = incarnations.ready;
    if (link === null) return;
    const frameLimit = delivery.frameLimit();
    if (frameLimit !== this.#toldFrameLimit) link.tell({ type: "frame_limit", bytes: frameLimit });
    this.#toldFrameLimit = frameLimit;
    const nowMs = Date.now();
    const target = delivery.creditTarget(nowMs);
    const due = target - link.credit;
    if (due > 0 && due >= Math.min(CREDIT_STEP_BYTES, target / 4)) link.grant(due);
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

  /** True while the runner is sending what it held when the link opened. */
  get hasBacklog(): boolean {
    return this.#backlog !== null;
  }

  /** Waits for what the runner held when the link opened. Held back for want of credit, it comes later. */
  async backlogIsIn(): Promise<void> {
    if (this.#backlog === null) return;
    const late = Promise.withResolvers<void>();
    const timer = setTimeout(late.resolve, BACKLOG_DEADLINE_MS);
    await Promise.race([this.#backlog.promise, late.promise]);
    clearTimeout(timer);
  }

  endBacklog(): void {
    this.#backlog?.resolve();
    this.#backlog = null;
  }
}
