/** Owns what is known of one client's WebSocket: who it is, how far it has got, what is on the way; kept in its attachment, so that it survives the object's sleep. */
import type { ClientId, ExecutionId, MessageId, SessionName } from "../../protocol/identity.ts";

/** Events of one execution to send again: those after `after`, up to `until`. */
export interface ReplayJob {
  executionId: ExecutionId;
  after: number;
  until: number;
  /** What a client that does not acknowledge has had of it. */
  budget: Budget;
}

/** How far a client that does not acknowledge has used up what it may have of one execution's output. */
export interface Budget {
  /** Bytes sent. */
  used: number;
  /** Bytes withheld, and the last event that was. */
  dropped: number;
  droppedSeq: number;
}

export const newBudget = (): Budget => ({ used: 0, dropped: 0, droppedSeq: 0 });

interface Attachment {
  tenant: string;
  clientId: ClientId;
  session: SessionName;
  requestId: string;
  /** Every event up to here was sent to this socket, or deliberately not. */
  cursor: number;
  /** True once the client sent `attach`: from then on it gets `session` messages. */
  isAttached: boolean;
  /** Bytes that may be unacknowledged; null: the client does not acknowledge. */
  window: number | null;
  acked: number;
  /** Of each running execution. */
  budgets: Record<ExecutionId, Budget>;
  jobs: ReplayJob[];
  /** An `attach` whose replay is not through yet. */
  attaching: { id?: MessageId } | null;
}

const MAX_POSTPONED = 16;

/** Tags by which the object finds its sockets again. */
export const sessionTag = (session: SessionName) => `session:${session}`;

export class ClientSocket {
  readonly #ws: WebSocket;
  readonly state: Attachment;
  /** True while events wait in the journal for this socket. */
  isBehind: boolean;
  /** True while the object gets from the runner what an `attach` must send first. */
  isHeld = false;
  /** Bytes that wait for it in the journal, as far as they came while the object was awake. */
  lag = 0;
  #inFlight: { seq: number; bytes: number }[] = [];
  #inFlightBytes = 0;
  #postponed: string[] = [];

  private constructor(ws: WebSocket, state: Attachment) {
    this.#ws = ws;
    this.state = state;
    this.isBehind = state.jobs.length > 0 || state.attaching !== null;
  }

  /** A socket just accepted; it sees the events that come after `cursor`. */
  static accept(
    ws: WebSocket,
    who: Pick<Attachment, "tenant" | "clientId" | "session" | "requestId" | "cursor">,
  ): ClientSocket {
    const socket = new ClientSocket(ws, {
      ...who,
      isAttached: false,
      window: null,
      acked: who.cursor,
      budgets: {},
      jobs: [],
      attaching: null,
    });
    socket.save();
    return socket;
  }

  /** A socket that outlived the object's memory. */
  static wake(ws: WebSocket): ClientSocket {
    return new ClientSocket(ws, ws.deserializeAttachment() as Attachment);
  }

  get isFor(): WebSocket {
    return this.#ws;
  }

  /** Bytes on the way to a client that acknowledges. */
  get inFlightBytes(): number {
    return this.#inFlightBytes;
  }

  /** Keeps the state in the attachment; due after every change. */
  save(): void {
    this.#ws.serializeAttachment(this.state);
  }

  /** Sends text; a socket that is closing takes it silently. */
  send(text: string): void {
    try {
      this.#ws.send(text);
    } catch (error) {
      // The close event that follows removes this socket.
      if (!(error instanceof Error)) throw error;
    }
  }

  /** Sends an event and counts it as on the way. */
  sendEvent(seq: number, frame: string, bytes: number): void {
    this.send(frame);
    if (this.state.window === null) return;
    this.#inFlight.push({ seq, bytes });
    this.#inFlightBytes += bytes;
  }

  /** Whether the window lets so many bytes through. One frame always fits where nothing is on the way. */
  hasRoomFor(bytes: number): boolean {
    const { window } = this.state;
    return window === null || this.#inFlightBytes === 0 || this.#inFlightBytes + bytes <= window;
  }

  /** Keeps a message that is no event until the events before it are out; of many, the newest. */
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

  /** After waking: what the client has not acknowledged counts as on the way. */
  assumeInFlight(bytes: number): void {
    if (bytes === 0) return;
    this.#inFlight = [{ seq: this.state.cursor, bytes }];
    this.#inFlightBytes = bytes;
  }

  /** The session it was for is no more; the next one counts from the beginning. */
  startOver(): void {
    Object.assign(this.state, {
      cursor: 0,
      acked: 0,
      budgets: {},
      jobs: [],
      attaching: null,
    } satisfies Partial<Attachment>);
    this.#inFlight = [];
    this.#inFlightBytes = 0;
    this.isBehind = false;
    this.save();
  }

  /** A client that asks for what came after a seq that was never reached sees everything that comes. */
  comeDownTo(lastSeq: number): void {
    if (this.state.cursor <= lastSeq) return;
    this.state.cursor = lastSeq;
    this.state.acked = Math.min(this.state.acked, lastSeq);
    this.save();
  }

  /** Takes a new `attach`: from now on the window counts from nothing. */
  attach(window: number | undefined, after: number | undefined, id: MessageId | undefined): void {
    this.state.isAttached = true;
    this.state.window = window ?? null;
    this.state.attaching = id === undefined ? {} : { id };
    this.state.jobs = [];
    this.#inFlight = [];
    this.#inFlightBytes = 0;
    if (after !== undefined) {
      this.state.cursor = after;
      this.state.acked = after;
      this.state.budgets = {};
    }
    this.isBehind = true;
    this.save();
  }

  close(code: number, reason: string): void {
    try {
      this.#ws.close(code, reason);
    } catch (error) {
      if (!(error instanceof Error)) throw error;
    }
  }
}
