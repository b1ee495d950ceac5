/** Owns one named session of a client: puts its parts together and keeps them in step; each part does its own work. */

import type { CheckpointId, ExecutionId, MessageId } from "../../protocol/identity.ts";
import type { LinkReply } from "../../protocol/link.ts";
import type { Missing, SessionState } from "../../protocol/server-message.ts";
import type { ClientSocket } from "../clients/client-socket.ts";
import { Delivery } from "../clients/delivery.ts";
import { frameOf } from "../clients/edge-frames.ts";
import type { RunnerLink } from "../runner/runner-link.ts";
import type { ExecutionRecord } from "../store/execution-table.ts";
import { Journal } from "../store/journal.ts";
import type { Incarnation, SessionRecord } from "../store/session-table.ts";
import { Checkpointing } from "./checkpointing.ts";
import type { ClientStores } from "./client-stores.ts";
import { EventIntake } from "./event-intake.ts";
import { IdleWatch } from "./idle.ts";
import { type IncarnationHost, Incarnations } from "./incarnations.ts";
import { LinkEvents } from "./link-events.ts";
import { handleLoss, prepare } from "./loss.ts";
import { Submissions } from "./submissions.ts";

/** How long a new socket's first message is waited for. */
const FIRST_MESSAGE_MS = 500;

export interface Announcement {
  state: SessionState;
  reason: string;
  checkpointId?: CheckpointId | undefined;
  missing?: Missing[] | undefined;
  lostExecutions?: ExecutionId[] | undefined;
}

export class NamedSession implements IncarnationHost {
  readonly parts: ClientStores;
  readonly record: SessionRecord;
  readonly journal: Journal;
  readonly delivery: Delivery;
  readonly incarnations: Incarnations;
  readonly checkpointing: Checkpointing;
  readonly rest: IdleWatch;
  readonly submissions: Submissions;
  readonly intake: EventIntake;
  readonly listener: LinkEvents;
  #changes = 0;
  /** What those who attached were last told of it. */
  #wasBusy: boolean;
  /** A client is about to use it, though nothing has come of that yet. */
  isClaimed = false;
  /** Our own reset or restore is on its way: its answer tells the clients. */
  quietStates = 0;

  constructor(parts: ClientStores, record: SessionRecord) {
    this.parts = parts;
    this.record = record;
    this.journal = new Journal(parts.ctx.storage.sql, record.name, parts.settings.JOURNAL_MAX_BYTES);
    this.delivery = new Delivery({
      journal: this.journal,
      unackedOutputBytes: parts.settings.UNACKED_OUTPUT_BYTES,
      answerAttach: (socket, id) => this.#answerAttach(socket, id),
      progressed: () => this.listener.updateCredit(),
    });
    this.incarnations = new Incarnations(this);
    this.checkpointing = new Checkpointing(this);
    this.rest = new IdleWatch(this);
    this.submissions = new Submissions(this);
    this.intake = new EventIntake(this);
    this.listener = new LinkEvents(this);
    this.#wasBusy = this.unfinishedCount() > 0;
  }

  get state(): SessionState {
    switch (this.record.phase) {
      case "new":
        return "ready";
      case "starting":
        return "starting";
      case "live":
        return this.unfinishedCount() > 0 ? "busy" : "ready";
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
    this.parts.inBackground(this.catchUp().then(() => this.delivery.pumpAll()));
  }

  unfinishedCount(): number {
    return this.parts.executions.unfinishedCount(this.record.name);
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

  /** Tells those who attached when something begins to run in a live session, and when nothing does any more. */
  noteActivity(): void {
    const isBusy = this.unfinishedCount() > 0;
    if (isBusy === this.#wasBusy || this.record.phase !== "live") return;
    this.#wasBusy = isBusy;
    this.announce({ state: isBusy ? "busy" : "ready", reason: isBusy ? "something runs" : "nothing runs" });
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
    if (this.listener.hasBacklog) return true;
    if (this.incarnations.ready !== null || this.record.incarnation === null) return false;
    return isAsked || this.record.isLinked || this.unfinishedCount() > 0;
  }

  /** Gets from the runner what is not here, after the object slept with a link open or with work unfinished. */
  async catchUp(isAsked = false): Promise<void> {
    if (!this.needsCatchUp(isAsked)) return;
    await this.incarnations.resume();
    await this.listener.backlogIsIn();
  }

  handleLoss(reason: string): void {
    this.#changes += 1;
    this.#wasBusy = false;
    handleLoss(this, reason);
    this.listener.endBacklog();
  }

  prepare(link: RunnerLink, incarnation: Incarnation): Promise<void> {
    return prepare(this, link, incarnation);
  }

  runnerSays({ state, reason }: Extract<LinkReply, { type: "session" }>): void {
    if (this.quietStates === 0 && this.record.phase === "live") this.announce({ state, reason });
  }

  /** Writes what is in memory. */
  flush(): void {
    this.intake.flush();
  }

  written(): void {
    this.rest.schedule();
  }

  executionEnded(id: ExecutionId): void {
    this.touch();
    this.submissions.ended(id);
    this.rest.executionEnded();
    this.noteActivity();
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
}
