/** Owns one client's WebSocket: sends to it, and keeps its position and its unacknowledged events, also while the object hibernates. */
import type { Grant } from "../../grant.ts";
import type { ClientId, ExecutionId, MessageId, SessionName } from "../../protocol/identity.ts";
import { DEFAULT_LIMITS } from "../../protocol/limits.ts";
import { hashText } from "./text-hash.ts";

/** Events of one execution to send again: those after `after`, up to `until`. */
export interface ReplayJob {
  executionId: ExecutionId;
  after: number;
  until: number;
  /** For a client that does not acknowledge. */
  budget: Budget;
}

/** How much of one execution's output was sent to a client that does not acknowledge. */
export interface Budget {
  /** Bytes sent. */
  used: number;
  /** Bytes withheld, and the seq of the last event withheld. */
  dropped: number;
  droppedSeq: number;
}

export const newBudget = (): Budget => ({ used: 0, dropped: 0, droppedSeq: 0 });

interface Attachment {
  tenant: string;
  clientId: ClientId;
  session: SessionName;
  requestId: string;
  /** The trace that the upgrade belonged to, if there was one. */
  traceparent?: string | undefined;
  /** What the token allows; absent: everything. */
  grant?: Grant;
  /** Every event up to this seq was sent to this socket, or deliberately withheld. */
  cursor: number;
  /** True once the client has sent `attach`: from then on it gets every event of the session, and `session` messages. */
  isAttached: boolean;
  /** Hashes of the unfinished executions that were submitted on this socket. Without `attach` it gets their events alone. */
  own: number[];
  /** Bytes that may be unacknowledged; null: the client does not acknowledge. */
  window: number | null;
  acked: number;
  /** Of each running execution. */
  budgets: Record<ExecutionId, Budget>;
  jobs: ReplayJob[];
  /** An `attach` that is answered once its replay is out. */
  attaching: { id?: MessageId } | null;
}

const MAX_POSTPONED = 16;
/** A client with more refusals than this does not wait as it was told, so its socket is closed. */
const MAX_REFUSALS = 1000;
/** Refusals that are forgotten for each message that is taken. */
const REFUSALS_PER_MESSAGE = 20;
/** An ending that the journal has pruned is never sent, so its execution stays in `own`. */
const MAX_OWN = 512;

/**
 * How new events reach the socket.
 * `holding`: nothing is sent yet; events wait in the journal for the client's first message, or for earlier events of the runner.
 * `replaying`: the socket reads events from the journal as its window allows.
 * `live`: the socket is up to date and gets each event as it comes.
 */
export type SocketMode = "holding" | "replaying" | "live";

export class ClientSocket {
  readonly ws: WebSocket;
  readonly state: Attachment;
  #mode: SocketMode;
  /** Bytes that wait for it in the journal, as far as they arrived since the object started. */
  lag = 0;
  /** Events up to this seq were there before the client asked for them. */
  askedUpTo = 0;
  #inFlight: { seq: number; bytes: number }[] = [];
  #inFlightBytes = 0;
  #postponed: string[] = [];
  /** Messages that were refused for the rate, less those that are forgotten. */
  #refusals = 0;

  private constructor(ws: WebSocket, state: Attachment) {
    this.ws = ws;
    this.state = state;
    this.#mode = state.jobs.length > 0 || state.attaching !== null ? "replaying" : "live";
  }

  /** A new socket; it gets the events after `cursor`. */
  static accept(
    ws: WebSocket,
    who: Pick<Attachment, "tenant" | "clientId" | "session" | "requestId" | "traceparent" | "grant" | "cursor">,
  ): ClientSocket {
    const socket = new ClientSocket(ws, {
      ...who,
      isAttached: false,
      own: [],
      window: null,
      acked: who.cursor,
      budgets: {},
      jobs: [],
      attaching: null,
    });
    socket.save();
    return socket;
  }

  /** A socket that was open before the object hibernated. */
  static wake(ws: WebSocket): ClientSocket {
    return new ClientSocket(ws, ws.deserializeAttachment() as Attachment);
  }

  get mode(): SocketMode {
    return this.#mode;
  }

  /** Sends nothing until `replay`. */
  hold(): void {
    this.#mode = "holding";
  }

  /** Continues from the journal. */
  replay(): void {
    this.#mode = "replaying";
  }

  /** The socket has got everything that the journal holds. */
  goLive(): void {
    this.#mode = "live";
    this.lag = 0;
  }

  /** Bytes on the way to a client that acknowledges. */
  get inFlightBytes(): number {
    return this.#inFlightBytes;
  }

  /** Writes the state to the attachment. Call it after every change. */
  save(): void {
    this.ws.serializeAttachment(this.state);
  }

  /** Sends text. A socket that is closing ignores it. */
  send(text: string): void {
    try {
      this.ws.send(text);
    } catch {
      // workerd throws if the socket is closing. The close event that follows removes the socket.
    }
  }

  /** Sends an event and counts its bytes until the client acknowledges it. */
  sendEvent(seq: number, frame: string, bytes: number): void {
    this.send(frame);
    if (this.state.window === null) return;
    this.#inFlight.push({ seq, bytes });
    this.#inFlightBytes += bytes;
  }

  /** Whether `bytes` more fit into the window. A single frame of any size fits into an empty window. */
  hasRoomFor(bytes: number): boolean {
    const { window } = this.state;
    return window === null || this.#inFlightBytes === 0 || this.#inFlightBytes + bytes <= window;
  }

  /** Whether this socket gets the events of an execution. */
  wants(id: ExecutionId): boolean {
    return this.state.isAttached || this.state.own.includes(hashText(id));
  }

  /** Notes an execution that was submitted on this socket. */
  own(id: ExecutionId): void {
    const hash = hashText(id);
    if (this.state.own.includes(hash)) return;
    this.state.own.push(hash);
    if (this.state.own.length > MAX_OWN) this.state.own.shift();
    this.save();
  }

  /** Forgets an execution that has ended or was refused. */
  disown(id: ExecutionId): void {
    const at = this.state.own.indexOf(hashText(id));
    if (at < 0) return;
    this.state.own.splice(at, 1);
    this.save();
  }

  /** Keeps a message that is not an event until the events before it are out. Only the newest few are kept. */
  postpone(text: string): void {
    this.#postponed.push(text);
    if (this.#postponed.length > MAX_POSTPONED) this.#postponed.shift();
  }

  sendPostponed(): void {
    for (const text of this.#postponed.splice(0)) this.send(text);
  }

  acknowledge(seq: number): void {
    let taken = 0;
    for (const one of this.#inFlight) {
      if (one.seq > seq) break;
      this.#inFlightBytes -= one.bytes;
      taken += 1;
    }
    this.#inFlight.splice(0, taken);
    if (seq > this.state.acked) {
      this.state.acked = Math.min(seq, this.state.cursor);
      this.save();
    }
  }

  /** Whether the seq is of an event that was sent and is not acknowledged yet. */
  isNewAcknowledgement(seq: number): boolean {
    return seq > this.state.acked && this.state.acked < this.state.cursor;
  }

  /** Counts a message that was refused for the rate, by its size. @returns false if the client goes on regardless of refusals. */
  noteRefusal(bytes: number): boolean {
    this.#refusals += 1 + bytes / DEFAULT_LIMITS.messageUnitBytes;
    return this.#refusals <= MAX_REFUSALS;
  }

  noteTaken(): void {
    this.#refusals = Math.max(0, this.#refusals - REFUSALS_PER_MESSAGE);
  }

  /** After hibernation: everything that the client has not acknowledged counts as on the way. */
  assumeInFlight(bytes: number): void {
    if (bytes === 0) return;
    this.#inFlight = [{ seq: this.state.cursor, bytes }];
    this.#inFlightBytes = bytes;
  }

  /** The session was deleted; the next one of this name numbers its events from the beginning. */
  startOver(): void {
    Object.assign(this.state, {
      cursor: 0,
      acked: 0,
      own: [],
      budgets: {},
      jobs: [],
      attaching: null,
    } satisfies Partial<Attachment>);
    this.#inFlight = [];
    this.#inFlightBytes = 0;
    this.#mode = "live";
    this.save();
  }

  /** A client that asked for events after a seq that was never reached gets everything from here on. */
  clampCursor(lastSeq: number): void {
    if (this.state.cursor <= lastSeq) return;
    this.state.cursor = lastSeq;
    this.state.acked = Math.min(this.state.acked, lastSeq);
    this.save();
  }

  /** Takes an `attach`: the window is empty again, and events wait for `replay`. */
  attach(window: number | undefined, after: number | undefined, id: MessageId | undefined): void {
    this.state.isAttached = true;
    this.state.window = window === undefined ? null : Math.min(window, DEFAULT_LIMITS.windowMaxBytes);
    this.state.attaching = id === undefined ? {} : { id };
    this.state.jobs = [];
    this.#inFlight = [];
    this.#inFlightBytes = 0;
    if (after !== undefined) {
      this.state.cursor = after;
      this.state.acked = after;
      this.state.budgets = {};
    }
    this.#mode = "holding";
    this.save();
  }

  close(code: number, reason: string): void {
    try {
      this.ws.close(code, reason);
    } catch {
      // workerd throws if the client has closed the socket already.
    }
  }
}
