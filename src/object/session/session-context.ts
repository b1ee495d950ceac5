/** Owns the facts of one named session that all of its parts share. It is built first and knows none of the parts. */

import type { CheckpointId, ExecutionId, MessageId } from "../../protocol/identity.ts";
import type { Missing, SessionState } from "../../protocol/session-state.ts";
import type { ClientSocket } from "../clients/client-socket.ts";
import { Delivery } from "../clients/delivery.ts";
import { frameOf } from "../clients/edge-frames.ts";
import type { ExecutionRecord } from "../store/execution-record.ts";
import { Journal } from "../store/journal.ts";
import type { SessionRecord } from "../store/session-table.ts";
import type { ClientStores } from "./client-stores.ts";
import { PendingInputs } from "./pending-inputs.ts";
import { PendingToolCalls } from "./pending-tool-calls.ts";

/** Beyond an execution's own timeout, for starting and stopping it. */
const OVERHEAD_MS = 5000;

export interface Announcement {
  state: SessionState;
  reason: string;
  checkpointId?: CheckpointId | undefined;
  missing?: Missing[] | undefined;
  lostExecutions?: ExecutionId[] | undefined;
  saved?: { at: number; is_current: boolean } | undefined;
}

export class SessionContext {
  readonly stores: ClientStores;
  readonly record: SessionRecord;
  readonly journal: Journal;
  readonly delivery: Delivery;
  readonly pendingInputs = new PendingInputs();
  readonly pendingTools = new PendingToolCalls();
  /** Executions that were accepted, but not sent to any runner yet. */
  readonly unsent = new Set<ExecutionId>();
  #changes = 0;
  /** What the attached clients were told last. */
  #wasBusy: boolean;
  #isClaimed = false;
  #ownStateChanges = 0;
  #transfers = 0;

  /** @param onProgress called after a consumer made progress: the runner may be due for credit. */
  constructor(stores: ClientStores, record: SessionRecord, onProgress: () => void) {
    const { settings, ctx } = stores;
    this.stores = stores;
    this.record = record;
    this.journal = new Journal(ctx.storage.sql, record.name, settings.JOURNAL_MAX_BYTES);
    this.delivery = new Delivery({
      journal: this.journal,
      journalMaxBytes: settings.JOURNAL_MAX_BYTES,
      unackedOutputBytes: settings.UNACKED_OUTPUT_BYTES,
      attachedFrame: (socket, id) => this.#attachedFrame(socket, id),
      pace: (bytes, isAgain) => stores.pace(bytes, isAgain),
      onProgress,
    });
    this.#wasBusy = this.unfinishedCount > 0;
  }

  get state(): SessionState {
    switch (this.record.phase) {
      case "new":
        return "ready";
      case "starting":
        return "starting";
      case "live":
        return this.unfinishedCount > 0 ? "busy" : "ready";
      case "suspended":
        return "suspended";
      case "ended":
        return "ended";
      default:
        return this.record.phase satisfies never;
    }
  }

  /** True if the session counts against the limit of its client. */
  get isInUse(): boolean {
    const { phase, isMade } = this.record;
    return (
      this.#isClaimed ||
      (phase !== "new" && phase !== "ended") ||
      (isMade && phase === "new") ||
      this.unfinishedCount > 0
    );
  }

  /** Holds the session's place while a client waits for its first interpreter. */
  claim(): void {
    this.#isClaimed = true;
  }

  /** The wait has ended: from here on the phase alone says whether the session is in use. */
  unclaim(): void {
    this.#isClaimed = false;
    this.stores.tenant.settle();
  }

  /** Executions that have not ended, oldest first. */
  get unfinished(): ExecutionRecord[] {
    return this.stores.executions.unfinished(this.record.name);
  }

  get unfinishedCount(): number {
    return this.stores.executions.unfinishedCount(this.record.name);
  }

  /** True while something uses the interpreter that would be lost with it: an execution, or a call on files. */
  get isAtWork(): boolean {
    return this.unfinishedCount > 0 || this.#transfers > 0;
  }

  /** Counts a call on files until `endTransfer`. */
  beginTransfer(): void {
    this.#transfers += 1;
    this.touch();
  }

  endTransfer(): void {
    this.#transfers -= 1;
    this.touch();
  }

  /** The newest execution, or the last one before those that no runner has yet: what happens to a state does not concern these. */
  get sentOrdinal(): number {
    const first = this.unfinished.find((execution) => this.unsent.has(execution.executionId));
    return first === undefined ? this.stores.executions.lastOrdinal : first.ordinal - 1;
  }

  /** True while the code of an execution waits for an answer. */
  isWaiting(id: ExecutionId): boolean {
    return this.pendingInputs.of(id) !== null || this.pendingTools.of(id).length > 0;
  }

  /** Milliseconds that the running and waiting executions may still take. */
  get queueMs(): number {
    return this.unfinished.reduce((sum, execution) => sum + execution.timeout * 1000 + OVERHEAD_MS, 0);
  }

  /** A counter that grows with everything that may change the interpreter's state. */
  get changes(): number {
    return this.#changes;
  }

  /** The greatest seq that any socket may have seen. The runner may hold events that SQLite lacks. */
  get newestSeenSeq(): number {
    let newest = this.journal.lastSeq;
    for (const socket of this.delivery.sockets) newest = Math.max(newest, socket.state.cursor);
    return newest;
  }

  /** True while a reset or restore that a client asked for is under way. */
  get isChangingState(): boolean {
    return this.#ownStateChanges > 0;
  }

  /** Runs a reset or restore that a client asked for. Its answer tells the clients, so what the runner says meanwhile is not announced. */
  async changeState<T>(work: () => Promise<T>): Promise<T> {
    this.#ownStateChanges += 1;
    try {
      return await work();
    } finally {
      this.#ownStateChanges -= 1;
    }
  }

  save(): void {
    this.stores.table.save(this.record);
    this.stores.tenant.settle();
  }

  /** Notes that a client used the session. */
  touch(): void {
    this.record.lastActiveAt = Date.now() / 1000;
  }

  /** Notes that the interpreter's state may differ from the last checkpoint. */
  noteChange(): void {
    this.touch();
    this.#changes += 1;
    if (this.record.isDirty) return;
    this.record.isDirty = true;
    this.save();
  }

  /** Notes that the interpreter is gone. */
  noteLoss(): void {
    this.#changes += 1;
    this.#wasBusy = false;
  }

  /** Tells attached clients when a live session starts to run code, and when it has nothing left to run. */
  noteActivity(): void {
    const isBusy = this.unfinishedCount > 0;
    if (!isBusy) this.stores.tenant.settle();
    if (isBusy === this.#wasBusy || this.record.phase !== "live") return;
    this.#wasBusy = isBusy;
    this.announce({ state: isBusy ? "busy" : "ready", reason: isBusy ? "something runs" : "nothing runs" });
  }

  /** Tells attached clients what happened to the session; `except` gets an answer of its own. */
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
        saved: what.saved,
      },
    });
  }

  #attachedFrame(socket: ClientSocket, id: MessageId | undefined): string {
    return frameOf({
      type: "attached",
      id,
      data: {
        client_id: socket.state.clientId,
        session: this.record.name,
        state: this.state,
        last_seq: this.journal.lastSeq,
        first_seq: this.journal.firstSeq,
        pending_input: this.pendingInputs.current,
        pending_tool_calls: this.pendingTools.current,
        running: this.unfinished[0]?.executionId ?? null,
      },
    });
  }
}
