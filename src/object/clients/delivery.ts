/** Owns delivering a session's events to its sockets and HTTP streams, each at its own pace, and the runner's credit that follows. */

import { isTerminal } from "../../protocol/event.ts";
import type { ExecutionId, MessageId } from "../../protocol/identity.ts";
import type { Journal } from "../store/journal.ts";
import { bytesOf, type JournalEntry, type JournalEvent, sizeOf } from "../store/journal-row.ts";
import { type ClientSocket, newBudget, type ReplayJob } from "./client-socket.ts";
import { gapFrame } from "./edge-frames.ts";
import { OutputBudgets } from "./output-budgets.ts";

const KIB = 1024;
/** Characters read from the journal at a time. */
const READ_CHARS = 128 * KIB;
/** How far the runner may be ahead of the fastest acknowledging consumer, beyond its window. Keeps the connection to the runner busy. */
const SLACK_BYTES = 256 * KIB;
const MAX_CREDIT_BYTES = 4 * 1024 * KIB;
/** While no consumer acknowledges, the runner may send this much more than the disk has. */
export const FREE_CREDIT_BYTES = 256 * KIB;
/** An acknowledging consumer that takes nothing for this long no longer holds back the others. */
const STALLED_MS = 5000;

/** The size of a full frame of output, unless many of its characters are escaped. */
const FULL_FRAME_BYTES = 72 * KIB;

/** A stream of one execution's events. Its reader pulls, and each pull acknowledges what came before. */
export interface StreamConsumer {
  executionId: ExecutionId;
  lag: number;
  wake(): void;
}

export interface DeliveryOptions {
  journal: Journal;
  unackedOutputBytes: number;
  /** Bytes of one session's events that the journal keeps. */
  journalMaxBytes: number;
  /** The answer to an `attach`. */
  attachedFrame(socket: ClientSocket, id: MessageId | undefined): string;
  /** Counts a piece read from the journal. @param isAgain the client asked for it again. @returns the milliseconds to wait before the next one. */
  pace(bytes: number, isAgain: boolean): number;
  /** A consumer made progress, so the runner may be due for credit. */
  onProgress(): void;
}

export class Delivery {
  readonly #options: DeliveryOptions;
  readonly sockets = new Set<ClientSocket>();
  readonly #streams = new Set<StreamConsumer>();
  readonly #budgets: OutputBudgets;
  #stalledSinceMs: number | null = null;
  /** Sockets whose replay waits for its next turn. */
  readonly #pacing = new Set<ClientSocket>();
  /** When the next piece of a replay may be read. */
  readonly #nextPieceMs = new WeakMap<ClientSocket, number>();

  constructor(options: DeliveryOptions) {
    this.#options = options;
    this.#budgets = new OutputBudgets(options.unackedOutputBytes, options.journalMaxBytes);
  }

  /** Adds a socket that was open before the object hibernated. */
  wake(socket: ClientSocket): void {
    const { journal } = this.#options;
    this.sockets.add(socket);
    const { window, acked, cursor } = socket.state;
    if (window !== null && acked < cursor) socket.assumeInFlight(journal.sizeBetween(acked, cursor));
    if (cursor < journal.lastSeq) socket.replay();
  }

  addStream(stream: StreamConsumer): void {
    this.#streams.add(stream);
    this.#options.onProgress();
  }

  removeStream(stream: StreamConsumer): void {
    this.#streams.delete(stream);
    this.onProgress();
  }

  /** Sends a new event to every consumer that is up to date. The others read it from the journal. */
  broadcast(event: JournalEvent): void {
    for (const socket of this.sockets) {
      if (socket.mode === "live" && this.#offer(socket, event)) continue;
      if (socket.mode === "live") socket.replay();
      socket.lag += bytesOf(event);
    }
    for (const stream of this.#streams) {
      stream.lag += bytesOf(event);
      stream.wake();
    }
  }

  /** Sends a message to attached clients; `except` gets an answer of its own. */
  announce(text: string, except?: ClientSocket): void {
    for (const socket of this.sockets) {
      if (!socket.state.isAttached || socket === except) continue;
      if (socket.mode === "live") socket.send(text);
      else socket.postpone(text);
    }
  }

  /** Sends the events of an execution again that this socket has passed already; later ones follow live. */
  replay(socket: ClientSocket, executionId: ExecutionId, { first, last }: { first: number; last: number }): void {
    const until = Math.min(last, socket.state.cursor);
    socket.state.jobs.push({ executionId, after: first - 1, until, budget: newBudget() });
    if (socket.mode === "live") socket.replay();
    socket.save();
    this.pump(socket);
  }

  /** Sends events that wait in the journal, as far as the socket's window allows. */
  pump(socket: ClientSocket): void {
    if (socket.mode !== "replaying" || this.#pacing.has(socket)) return;
    const { journal } = this.#options;
    if (!this.#pumpJobs(socket)) return;
    while (socket.state.cursor < journal.lastSeq) {
      if (this.#mustPause(socket)) return;
      const { entries, upTo } = journal.read(socket.state.cursor, READ_CHARS);
      this.#countPiece(socket, entries, upTo <= socket.askedUpTo);
      for (const entry of entries) {
        if (entry.kind === "gap") this.#sendGap(socket, entry.from, entry.to);
        else if (!this.#offer(socket, entry)) return;
        else socket.lag = Math.max(0, socket.lag - bytesOf(entry));
      }
      socket.state.cursor = Math.max(socket.state.cursor, upTo);
    }
    socket.goLive();
    const { attaching } = socket.state;
    socket.state.attaching = null;
    socket.save();
    if (attaching !== null) socket.send(this.#options.attachedFrame(socket, attaching.id));
    socket.sendPostponed();
  }

  pumpAll(): void {
    for (const socket of this.sockets) this.pump(socket);
  }

  acknowledge(socket: ClientSocket, seq: number): void {
    socket.acknowledge(seq);
    this.pump(socket);
    this.onProgress();
  }

  /** Recomputes the runner's credit after a consumer made progress. */
  onProgress(): void {
    this.#options.onProgress();
  }

  /** Bytes of events that the runner may have on the way to the edge. */
  creditTarget(nowMs: number): number {
    let best = Number.NEGATIVE_INFINITY;
    let others = 0;
    for (const socket of this.sockets) {
      const { window, isAttached, own } = socket.state;
      if (window !== null) best = Math.max(best, window - socket.inFlightBytes - socket.lag);
      else if (isAttached || own.length > 0) others += 1;
    }
    for (const stream of this.#streams) best = Math.max(best, -stream.lag);
    if (best === Number.NEGATIVE_INFINITY) return this.#freeCredit;
    const target = Math.min(MAX_CREDIT_BYTES, best + SLACK_BYTES);
    if (target > 0 || others === 0) {
      this.#stalledSinceMs = null;
      return Math.max(0, target);
    }
    this.#stalledSinceMs ??= nowMs;
    return nowMs - this.#stalledSinceMs >= STALLED_MS ? this.#freeCredit : 0;
  }

  /** No client sets the pace, so the disk does: other objects get their turn while it writes. */
  get #freeCredit(): number {
    return Math.max(0, FREE_CREDIT_BYTES - this.#options.journal.unsafeBytes);
  }

  /** Whether a client acknowledges, or reads a stream. */
  get hasReader(): boolean {
    if (this.#streams.size > 0) return true;
    for (const { state } of this.sockets) if (state.window !== null) return true;
    return false;
  }

  /**
   * How much of an execution's output is of use: the part that a client without acknowledgements may get, and the part that
   * the journal keeps in the end; null: all of it, because a client acknowledges.
   */
  outputLimit(nowMs: number): { head_bytes: number; tail_bytes: number } | null {
    const isStalled = this.stallEndsAtMs !== null && this.stallEndsAtMs <= nowMs;
    if (this.hasReader && !isStalled) return null;
    return { head_bytes: this.#options.unackedOutputBytes, tail_bytes: this.#options.journalMaxBytes };
  }

  /**
   * The longest frame of output that suits every acknowledging socket; 0: no limit. Two frames fit into the smallest
   * window, so that one is on the way while the client acknowledges the other.
   */
  frameLimit(): number {
    let smallest = Number.POSITIVE_INFINITY;
    for (const { state } of this.sockets) smallest = Math.min(smallest, state.window ?? Number.POSITIVE_INFINITY);
    const limit = Math.max(1, Math.floor(smallest / 2));
    return limit < FULL_FRAME_BYTES ? limit : 0;
  }

  /** When `creditTarget` changes by time alone; null: it does not. */
  get stallEndsAtMs(): number | null {
    return this.#stalledSinceMs === null ? null : this.#stalledSinceMs + STALLED_MS;
  }

  /** @returns true if every job is done. */
  #pumpJobs(socket: ClientSocket): boolean {
    const { journal } = this.#options;
    for (let job = socket.state.jobs[0]; job !== undefined; job = socket.state.jobs[0]) {
      while (job.after < job.until) {
        if (this.#mustPause(socket)) return false;
        const { entries, upTo } = journal.read(job.after, READ_CHARS, job.executionId, job.until);
        this.#countPiece(socket, entries, true);
        for (const entry of entries) {
          const isGap = entry.kind === "gap";
          if ((isGap ? entry.from : entry.seq) > job.until) break;
          if (isGap) socket.send(gapFrame(Math.max(entry.from, job.after + 1), Math.min(entry.to, job.until)));
          else if (!this.#resend(socket, entry, job)) return false;
          job.after = Math.min(job.until, isGap ? entry.to : entry.seq);
        }
        if (entries.length === 0 && upTo <= job.after) break;
        job.after = Math.max(job.after, Math.min(job.until, upTo));
      }
      socket.state.jobs.shift();
      socket.save();
    }
    return true;
  }

  /** Whether a replay has to wait for its turn; then it goes on by itself. */
  #mustPause(socket: ClientSocket): boolean {
    const waitMs = (this.#nextPieceMs.get(socket) ?? 0) - Date.now();
    if (waitMs <= 0) return false;
    this.#pacing.add(socket);
    setTimeout(() => {
      this.#pacing.delete(socket);
      if (this.sockets.has(socket)) this.pump(socket);
    }, waitMs);
    return true;
  }

  #countPiece(socket: ClientSocket, entries: readonly JournalEntry[], isAgain: boolean): void {
    this.#nextPieceMs.set(socket, Date.now() + this.#options.pace(sizeOf(entries), isAgain));
  }

  #resend(socket: ClientSocket, event: JournalEvent, job: ReplayJob): boolean {
    if (!socket.hasRoomFor(bytesOf(event))) return false;
    const isBudgeted = socket.state.window === null;
    if (!isBudgeted || this.#budgets.allows(socket, event, job.budget))
      socket.sendEvent(event.seq, event.frame, bytesOf(event));
    return true;
  }

  #sendGap(socket: ClientSocket, from: number, to: number): void {
    const first = Math.max(from, socket.state.cursor + 1);
    if (first > to) return;
    if (socket.state.isAttached || socket.state.own.length > 0) socket.send(gapFrame(first, to));
    socket.state.cursor = to;
  }

  /** Sends one event, or withholds it for good. @returns false if it has to wait. */
  #offer(socket: ClientSocket, event: JournalEvent): boolean {
    const { state } = socket;
    if (event.seq <= state.cursor) return true;
    if (socket.wants(event.executionId)) {
      if (!socket.hasRoomFor(bytesOf(event))) return false;
      if (state.window !== null || this.#budgets.allowsLive(socket, event)) {
        socket.sendEvent(event.seq, event.frame, bytesOf(event));
      }
    }
    state.cursor = event.seq;
    if (isTerminal(event.type)) socket.disown(event.executionId);
    socket.save();
    return true;
  }
}
