/** Owns one named session of a client: puts its parts together and keeps them in step; each part does its own work. */
import { Checkpointing } from "./checkpointing.ts";
import { Delivery } from "./delivery.ts";
import { type EdgeEnding, endingEvent, frameOf } from "./edge-frames.ts";
import type { ExecutionRecord } from "./executions.ts";
import { Incarnations } from "./incarnations.ts";
import { Journal } from "./journal.ts";
import type { JournalEvent } from "./journal-row.ts";
import type { ObjectParts } from "./object-parts.ts";
import { isTerminal } from "./protocol/event.ts";
import type { CheckpointId, ExecutionId, MessageId } from "./protocol/identity.ts";
import type { EventHeader, LinkReply } from "./protocol/link.ts";
import type { Missing, SessionState } from "./protocol/server-message.ts";
import type { LinkListener, Opened, RunnerLink } from "./runner-link.ts";
import type { ProblemInit } from "./session-calls.ts";
import { SessionRest } from "./session-rest.ts";
import { type Incarnation, RESERVE_LEFT, RESERVE_STRIDE, type SessionRecord } from "./session-state.ts";
import type { ClientSocket } from "./sockets.ts";

const WRITE_AT_CHARS = 256 * 1024;
const WRITE_AFTER_MS = 250;
/** After a terminal message somebody may go away content; several short executions still share one write. */
const WRITE_SOON_MS = 20;
/** Credit is counted anew when less than this is left. */
const CREDIT_LOW_CHARS = 512 * 1024;
const MAX_LOST_LISTED = 1000;
const BACKLOG_DEADLINE_MS = 5000;
const FIRST_MESSAGE_MS = 500;

export interface Announcement {
  state: SessionState;
  reason: string;
  checkpointId?: CheckpointId | undefined;
  missing?: Missing[] | undefined;
  lostExecutions?: ExecutionId[] | undefined;
}

export class NamedSession implements LinkListener {
  readonly parts: ObjectParts;
  readonly record: SessionRecord;
  readonly journal: Journal;
  readonly delivery: Delivery;
  readonly incarnations: Incarnations;
  readonly checkpointing: Checkpointing;
  readonly rest: SessionRest;
  readonly listener: LinkListener = this;
  /** Accepted, but not sent to any runner yet. */
  readonly #unsent = new Set<ExecutionId>();
  readonly #refusals = new Map<ExecutionId, (problem: ProblemInit) => void>();
  readonly #waiters = new Map<ExecutionId, Set<() => void>>();
  /** What the runner said it runs or queues when the link opened. */
  #known = new Set<ExecutionId>();
  /** Until the runner has sent what it held when the link opened. */
  #backlog: (PromiseWithResolvers<void> & { until: number }) | null = null;
  #changes = 0;
  #writeTimer: ReturnType<typeof setTimeout> | null = null;
  #writeSoon = false;
  #stallTimer: ReturnType<typeof setTimeout> | null = null;
  #durableTold = 0;
  /** A client is about to use it, though nothing has come of that yet. */
  isClaimed = false;
  /** Our own reset or restore is on its way: its answer tells the clients. */
  quietStates = 0;

  constructor(parts: ObjectParts, record: SessionRecord) {
    this.parts = parts;
    this.record = record;
    this.journal = new Journal(parts.ctx.storage.sql, record.name, parts.settings.JOURNAL_MAX_BYTES);
    this.delivery = new Delivery({
      journal: this.journal,
      unackedOutputChars: parts.settings.UNACKED_OUTPUT_BYTES,
      answerAttach: (socket, id) => this.#answerAttach(socket, id),
      progressed: () => this.#updateCredit(),
    });
    this.incarnations = new Incarnations(this);
    this.checkpointing = new Checkpointing(this);
    this.rest = new SessionRest(this);
  }

  get state(): SessionState {
    switch (this.record.phase) {
      case "new":
        return "ready";
      case "starting":
        return "starting";
      case "live":
        return this.unfinished().length > 0 ? "busy" : "ready";
      case "suspended":
        return "suspended";
      case "ended":
        return "ended";
      default:
        return this.record.phase satisfies never;
    }
  }

  unfinished(): ExecutionRecord[] {
    return this.parts.executions.unfinished(this.record.name);
  }

  /** The newest seq that any socket may have seen; the runner may have more that SQLite lacks. */
  newestSeen(): number {
    let newest = this.journal.lastSeq;
    for (const socket of this.delivery.sockets) newest = Math.max(newest, socket.state.cursor);
    return newest;
  }

  /**
   * Takes a new socket. What comes before its first message waits a moment, since that message may be an `attach` that
   * wants earlier events first.
   */
  welcome(socket: ClientSocket): void {
    this.delivery.sockets.add(socket);
    socket.isHeld = true;
    socket.isBehind = true;
    setTimeout(() => this.heard(socket), FIRST_MESSAGE_MS);
  }

  /** A socket has sent something, or had its moment. */
  heard(socket: ClientSocket): void {
    if (!socket.isHeld || socket.state.attaching !== null) return;
    socket.isHeld = false;
    this.delivery.pump(socket);
  }

  /** After the object slept: goes on with what it was in the middle of. */
  awaken(): void {
    const isInTheMiddle = [...this.delivery.sockets].some((socket) => socket.isBehind);
    if (!isInTheMiddle && !this.record.isLinked) return;
    const work = this.catchUp().then(() => this.delivery.pumpAll(), logFailure);
    this.parts.ctx.waitUntil(work);
  }

  unfinishedCount(): number {
    return this.unfinished().length;
  }

  lastSeq(): number {
    return this.journal.lastSeq;
  }

  changes(): number {
    return this.#changes;
  }

  queueMs(): number {
    return this.unfinished().reduce((sum, record) => sum + record.timeout * 1000 + 5000, 0);
  }

  save(): void {
    this.parts.table.save(this.record);
  }

  /** Notes that a client used the session. */
  touch(): void {
    this.record.lastActiveAt = Date.now() / 1000;
  }

  /** Notes that the interpreter's state may differ from the last checkpoint's. */
  noteChange(): void {
    this.touch();
    this.#changes += 1;
    if (this.record.isDirty) return;
    this.record.isDirty = true;
    this.save();
  }

  /** Sends an execution to the runner; `onRefused` is called should the runner not take it. @returns null where it is on its way, or a promise that it will be. */
  submit(record: ExecutionRecord, onRefused: (problem: ProblemInit) => void): Promise<void> | null {
    this.#refusals.set(record.executionId, onRefused);
    const link = this.incarnations.ready;
    if (link !== null) {
      this.#sendExecution(link, record);
      return null;
    }
    this.#unsent.add(record.executionId);
    return this.incarnations.ensure().then(
      () => undefined,
      (error: unknown) => {
        this.#unsent.delete(record.executionId);
        this.#refusals.delete(record.executionId);
        this.parts.executions.remove(record);
        this.#wakeWaiters(record.executionId);
        throw error;
      },
    );
  }

  /** Resolves when the execution has ended, or after `seconds`. */
  async waitFor(id: ExecutionId, seconds: number): Promise<void> {
    const ended = Promise.withResolvers<void>();
    const waiters = this.#waiters.get(id) ?? new Set();
    this.#waiters.set(id, waiters.add(ended.resolve));
    const timer = setTimeout(ended.resolve, seconds * 1000);
    await ended.promise;
    clearTimeout(timer);
    waiters.delete(ended.resolve);
    if (waiters.size === 0) this.#waiters.delete(id);
  }

  /** Tells those who attached. */
  announce(what: Announcement, except?: ClientSocket): void {
    this.delivery.announce(this.announcementFrame(what), except);
  }

  announcementFrame(what: Announcement, id?: MessageId): string {
    return frameOf({
      type: "session",
      id,
      data: {
        session: this.record.name,
        state: what.state,
        reason: what.reason,
        checkpoint_id: what.checkpointId,
        missing: what.missing,
        lost_executions: what.lostExecutions,
      },
    });
  }

  /** Whether the runner may hold events that are not here; `isAsked`: somebody has seen some. */
  needsCatchUp(isAsked = false): boolean {
    if (this.incarnations.ready !== null || this.record.incarnation === null) return false;
    return isAsked || this.record.isLinked || this.unfinishedCount() > 0;
  }

  /** Gets from the runner what is not here, after the object slept with a link open or with work unfinished. */
  async catchUp(isAsked = false): Promise<void> {
    if (!this.needsCatchUp(isAsked)) return;
    const link = await this.incarnations.resume();
    // Held back for want of credit, it comes later, and `attached` says no more than what came.
    if (link !== null && this.#backlog !== null) await within(this.#backlog.promise, BACKLOG_DEADLINE_MS);
  }

  opened(_link: RunnerLink, opened: Opened): void {
    const { incarnation } = this.record;
    if (incarnation !== null) {
      incarnation.runnerId = opened.runner_id;
      incarnation.runnerVersion = opened.version;
    }
    this.parts.executions.setPendingInput(this.record.name, opened.pending_input);
    this.#known = new Set([...opened.queued, ...(opened.running === null ? [] : [opened.running])]);
    this.#awaitBacklog(opened.last_seq);
  }

  event(link: RunnerLink, header: EventHeader, frame: string): void {
    const [, seq, type, executionId] = header;
    if (seq > this.journal.lastSeq) this.#take({ kind: "event", seq, type, executionId, frame });
    if (this.#backlog !== null && seq >= this.#backlog.until) this.#endBacklog();
    if (link.credit < CREDIT_LOW_CHARS) this.#updateCredit();
  }

  told(_link: RunnerLink, reply: LinkReply): void {
    switch (reply.type) {
      case "started":
        this.parts.executions.noteStarted(reply.execution_id, reply.started_at);
        return;
      case "session":
        if (this.quietStates === 0 && this.record.phase === "live") {
          this.announce({ state: reply.state, reason: reply.reason });
        }
        return;
      case "draining":
        this.rest.runnerDrains();
        return;
      case "failed":
        this.#refused(reply.ref as ExecutionId, { code: reply.code, detail: reply.detail });
        return;
      default:
        // An answer whose asker has stopped waiting.
        return;
    }
  }

  silent(link: RunnerLink): void {
    this.rest.linkIsSilent(link);
  }

  lost(link: RunnerLink): void {
    this.incarnations.drop(link);
    this.#endBacklog();
    if (this.unfinished().length === 0) return;
    this.parts.ctx.waitUntil(this.incarnations.resume().then(() => undefined, logFailure));
  }

  creditToOpenWith(): number {
    return this.delivery.creditTarget(Date.now());
  }

  handleLoss(reason: string): void {
    const { record, parts } = this;
    this.flush();
    const lostExecutions = parts.executions.since(record.name, record.recoveryOrdinal, MAX_LOST_LISTED);
    this.#changes += 1;
    record.returning = {
      reason,
      lostExecutions: [...(record.returning?.lostExecutions ?? []), ...lostExecutions].slice(-MAX_LOST_LISTED),
    };
    this.endUnfinished({
      exceptionType: "RunnerLost",
      message: "The runner that ran this code is gone.",
      reason: "runner_lost",
      state: record.recoveryId === null ? "fresh" : "restored",
      checkpointId: record.recoveryId,
      lostExecutions,
    });
    record.recoveryOrdinal = parts.executions.lastOrdinal;
    record.isDirty = false;
    this.save();
    this.announce({ state: "suspended", reason, lostExecutions });
    this.#endBacklog();
  }

  /** Gives each execution that a runner had its one ending; those that no runner had yet still run. */
  endUnfinished(ending: EdgeEnding): void {
    for (const record of this.unfinished()) {
      if (this.#unsent.has(record.executionId)) continue;
      this.record.reservedSeq = Math.max(this.record.reservedSeq, this.journal.lastSeq) + 1;
      this.#take(endingEvent(record, this.record.reservedSeq, ending));
    }
    this.save();
    this.flush();
  }

  async prepare(link: RunnerLink, incarnation: Incarnation): Promise<void> {
    const { returning } = this.record;
    const told = { reason: returning?.reason ?? "started", lostExecutions: returning?.lostExecutions };
    this.announce({ state: "starting", reason: told.reason });
    try {
      const recovered = await this.checkpointing.recover(link, incarnation);
      if (recovered !== null) {
        this.announce({ ...told, state: "restored", checkpointId: recovered.id, missing: recovered.missing });
      } else {
        this.announce({ ...told, state: returning?.reason === "runner_lost" ? "reset" : "ready" });
      }
    } catch (error) {
      if (!link.isOpen) throw error;
      logFailure(error);
      await this.checkpointing.forgetRecovery();
      this.announce({ ...told, state: "reset", reason: "checkpoint_unavailable" });
    }
    this.record.returning = null;
  }

  becameReady(link: RunnerLink, isNew: boolean): void {
    if (isNew) this.#known.clear();
    for (const record of this.unfinished()) {
      if (record.code !== null && !this.#known.has(record.executionId)) this.#sendExecution(link, record);
    }
    this.#updateCredit();
    this.rest.schedule();
  }

  /** Writes what is in memory, and tells the runner once it is safe. */
  flush(): void {
    if (this.#writeTimer !== null) clearTimeout(this.#writeTimer);
    this.#writeTimer = null;
    const { executions, ctx } = this.parts;
    executions.forget(this.journal.flush());
    executions.flush();
    if (this.record.reservedSeq - this.journal.lastSeq < RESERVE_LEFT && this.record.incarnation !== null) {
      this.record.reservedSeq = this.journal.lastSeq + RESERVE_STRIDE;
      this.save();
    }
    this.rest.schedule();
    if (this.journal.writtenSeq > this.#durableTold) ctx.waitUntil(this.tellDurable().catch(logFailure));
  }

  /** Waits until everything written is safe, then lets the runner forget it. */
  async tellDurable(): Promise<void> {
    const seq = this.journal.writtenSeq;
    this.#durableTold = seq;
    await this.parts.ctx.storage.sync();
    if (seq > 0) this.incarnations.ready?.tell({ type: "durable", seq });
  }

  #sendExecution(link: RunnerLink, record: ExecutionRecord): void {
    this.#unsent.delete(record.executionId);
    link.tell({
      type: "execute",
      execution_id: record.executionId,
      code: record.code ?? "",
      transaction_policy: record.policy,
      timeout: record.timeout,
    });
  }

  /** The way of every event: into the journal's memory, out to the clients, and onto disk a little later. */
  #take(event: JournalEvent): void {
    if (event.seq > this.record.reservedSeq) {
      // Nobody may see a number that a later incarnation could use again.
      this.record.reservedSeq = event.seq + RESERVE_STRIDE;
      this.save();
    }
    this.journal.append(event);
    this.delivery.broadcast(event);
    this.parts.executions.noteEvent(this.record.name, event.executionId, event.type, event.seq, event.frame);
    if (isTerminal(event.type)) {
      this.touch();
      this.#refusals.delete(event.executionId);
      this.#wakeWaiters(event.executionId);
      this.rest.executionEnded();
    }
    if (this.journal.bufferedChars >= WRITE_AT_CHARS) this.flush();
    else this.#writeLater(isTerminal(event.type) || event.type === "input");
  }

  #writeLater(isSoon: boolean): void {
    if (this.#writeTimer !== null) {
      if (!isSoon || this.#writeSoon) return;
      clearTimeout(this.#writeTimer);
    }
    this.#writeSoon = isSoon;
    this.#writeTimer = setTimeout(() => this.flush(), isSoon ? WRITE_SOON_MS : WRITE_AFTER_MS);
  }

  #updateCredit(): void {
    const link = this.incarnations.ready;
    if (link === null) return;
    const now = Date.now();
    const target = this.delivery.creditTarget(now);
    const due = target - link.credit;
    if (due >= Math.min(64 * 1024, target / 4) && due > 0) link.grant(due);
    const { stallEndsAtMs } = this.delivery;
    if (stallEndsAtMs === null || stallEndsAtMs <= now || this.#stallTimer !== null) return;
    this.#stallTimer = setTimeout(
      () => {
        this.#stallTimer = null;
        this.#updateCredit();
      },
      stallEndsAtMs - now + 1,
    );
  }

  #answerAttach(socket: ClientSocket, id: MessageId | undefined): void {
    const { journal, parts, record } = this;
    socket.send(
      frameOf({
        type: "attached",
        id,
        data: {
          client_id: socket.state.clientId,
          session: record.name,
          state: this.state,
          last_seq: journal.lastSeq,
          first_seq: journal.firstSeq,
          pending_input: parts.executions.pendingInputOf(record.name),
          running: this.unfinished()[0]?.executionId ?? null,
        },
      }),
    );
  }

  #awaitBacklog(until: number): void {
    this.#endBacklog();
    if (until > this.journal.lastSeq) this.#backlog = { ...Promise.withResolvers<void>(), until };
  }

  #endBacklog(): void {
    this.#backlog?.resolve();
    this.#backlog = null;
  }

  /** The runner would not take an execution that the edge has let in: it never was one. */
  #refused(id: ExecutionId, problem: ProblemInit): void {
    const record = this.parts.executions.held(id);
    if (record?.status !== "running") return;
    this.parts.executions.remove(record);
    this.#refusals.get(id)?.(problem);
    this.#refusals.delete(id);
    this.#wakeWaiters(id);
  }

  #wakeWaiters(id: ExecutionId): void {
    for (const wake of this.#waiters.get(id) ?? []) wake();
  }
}

async function within(work: Promise<void>, ms: number): Promise<void> {
  const late = Promise.withResolvers<void>();
  const timer = setTimeout(late.resolve, ms);
  await Promise.race([work, late.promise]);
  clearTimeout(timer);
}

export function logFailure(error: unknown): void {
  console.warn("in the background", error instanceof Error ? error.message : "");
}
