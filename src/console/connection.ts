/** Owns the page's WebSocket: it stays connected, takes up where it left off, and loses or repeats nothing. */
import type { z } from "zod";
import type { ClientMessage } from "../protocol/client-message.ts";
import type { ServerMessage } from "../protocol/server-message.ts";

const FIRST_PAUSE_MS = 250;
const LONGEST_PAUSE_MS = 8000;
/** Output on the way that this page has not shown yet. */
const WINDOW_BYTES = 4 * 1024 * 1024;
const ACK_EVERY_CHARS = 256 * 1024;
const ACK_AFTER_MS = 200;

export type ConnectionState = "connecting" | "open" | "closed";
type Outgoing = z.input<typeof ClientMessage>;
type Execute = Extract<Outgoing, { type: "execute" }> & { id: string };

export interface ConnectionOptions {
  clientId: string;
  session: string;
  token: string;
  /** The events after this one are asked for. */
  after: number;
  message(message: ServerMessage): void;
  state(state: ConnectionState): void;
}

/** A connection from `new` to `close`; it connects again by itself whenever it breaks. */
export class Connection {
  readonly #options: ConnectionOptions;
  readonly #unanswered = new Map<string, Execute>();
  readonly #requests = new Map<string, (answer: ServerMessage | null) => void>();
  #socket: WebSocket | null = null;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #pauseMs = FIRST_PAUSE_MS;
  #isClosed = false;
  #lastSeq: number;
  #ackedSeq: number;
  #unackedChars = 0;
  #ackTimer: ReturnType<typeof setTimeout> | undefined;

  constructor(options: ConnectionOptions) {
    this.#options = options;
    this.#lastSeq = options.after;
    this.#ackedSeq = options.after;
    addEventListener("online", this.#connectNow);
    this.#connect();
  }

  /** Runs code. Until its first event comes back, the message is sent again after each break: its id makes it run once. */
  execute(message: Execute): void {
    this.#unanswered.set(message.id, message);
    this.#send(message);
  }

  /** Sends a message that only makes sense now. @returns false while there is no connection. */
  send(message: Outgoing): boolean {
    return this.#send(message);
  }

  /** Sends a message and waits for what answers it; null where the connection breaks first. */
  request(message: Outgoing): Promise<ServerMessage | null> {
    const id = crypto.randomUUID();
    return new Promise((resolve) => {
      if (!this.#send({ ...message, id })) {
        resolve(null);
        return;
      }
      this.#requests.set(id, resolve);
    });
  }

  close(): void {
    this.#isClosed = true;
    removeEventListener("online", this.#connectNow);
    clearTimeout(this.#timer);
    clearTimeout(this.#ackTimer);
    this.#giveUpRequests();
    this.#socket?.close(1000);
    this.#socket = null;
  }

  readonly #connectNow = () => {
    if (this.#socket !== null || this.#isClosed) return;
    clearTimeout(this.#timer);
    this.#connect();
  };

  #connect(): void {
    this.#options.state("connecting");
    const address = new URL("/ws/v1/session", location.href);
    address.protocol = location.protocol === "https:" ? "wss:" : "ws:";
    address.searchParams.set("client_id", this.#options.clientId);
    address.searchParams.set("session", this.#options.session);
    const protocols = ["pyrepl.v1"];
    if (this.#options.token !== "") protocols.push(`pyrepl.bearer.${this.#options.token}`);
    const socket = new WebSocket(address, protocols);
    this.#socket = socket;
    socket.addEventListener("open", () => this.#opened());
    socket.addEventListener("message", (event) => this.#received(socket, String(event.data)));
    socket.addEventListener("close", () => this.#broke(socket));
  }

  #opened(): void {
    this.#pauseMs = FIRST_PAUSE_MS;
    this.#send({ type: "attach", after: this.#lastSeq, window: WINDOW_BYTES });
    for (const message of this.#unanswered.values()) this.#send(message);
    this.#options.state("open");
  }

  #broke(socket: WebSocket): void {
    if (socket !== this.#socket || this.#isClosed) return;
    this.#socket = null;
    this.#giveUpRequests();
    this.#options.state("closed");
    this.#timer = setTimeout(() => this.#connect(), this.#pauseMs * (0.5 + Math.random()));
    this.#pauseMs = Math.min(LONGEST_PAUSE_MS, this.#pauseMs * 2);
  }

  #giveUpRequests(): void {
    for (const resolve of this.#requests.values()) resolve(null);
    this.#requests.clear();
  }

  #send(message: Outgoing): boolean {
    if (this.#socket?.readyState !== WebSocket.OPEN) return false;
    this.#socket.send(JSON.stringify(message));
    return true;
  }

  #received(socket: WebSocket, text: string): void {
    if (socket !== this.#socket) return;
    const message = JSON.parse(text) as ServerMessage;
    if ("seq" in message && message.seq !== undefined) {
      // After a break the same event may come twice: replayed, and as the answer to a repeated execute.
      if (message.seq <= this.#lastSeq) return;
      this.#lastSeq = message.seq;
      this.#unanswered.delete(message.data.execution_id);
      this.#countForAck(text.length);
    }
    const { id } = message;
    if (message.type === "problem" && id !== undefined) this.#unanswered.delete(id);
    const resolve = id === undefined ? undefined : this.#requests.get(id);
    if (id !== undefined && resolve !== undefined) {
      this.#requests.delete(id);
      resolve(message);
    }
    this.#options.message(message);
  }

  #countForAck(chars: number): void {
    this.#unackedChars += chars;
    if (this.#unackedChars >= ACK_EVERY_CHARS) this.#acknowledge();
    else this.#ackTimer ??= setTimeout(() => this.#acknowledge(), ACK_AFTER_MS);
  }

  #acknowledge(): void {
    clearTimeout(this.#ackTimer);
    this.#ackTimer = undefined;
    this.#unackedChars = 0;
    if (this.#ackedSeq === this.#lastSeq) return;
    if (this.#send({ type: "ack", seq: this.#lastSeq })) this.#ackedSeq = this.#lastSeq;
  }
}
