/** Owns one session's WebSocket: it opens it when it is needed, opens it again when it breaks, and acknowledges; it leaves to its listener what the messages mean. */
import { Acknowledger } from "./acknowledger.ts";
import { ClientError } from "./client-error.ts";
import type { SocketConstructor, SocketLike } from "./endpoint.ts";
import { Requests } from "./requests.ts";
import type { Rest } from "./rest.ts";
import { eventOf, type Incoming, type Outgoing } from "./wire.ts";

const FIRST_PAUSE_MS = 250;
const LONGEST_PAUSE_MS = 8000;
/** How often a busy connection is looked at, and how long nothing may come over it before it counts as broken. */
const WATCH_EVERY_MS = 10_000;
const SILENT_ROUNDS = 3;
/** Sockets that could not be opened, though the service answers over HTTP, before the client does without. */
const REFUSED_SOCKETS = 3;
const OPEN = 1;

export type ConnectionState = "idle" | "connecting" | "open" | "waiting" | "closed";
export type Attached = Extract<Incoming, { type: "attached" }>["data"];

export interface ConnectionListener {
  message(message: Incoming): void;
  /** A socket is open, and `attach` is on its way: what must be sent again is sent now. */
  opened(): void;
  /** Everything missed was sent again; `isAnother`: the session is not the one that the last events came from. */
  attached(data: Attached, isAnother: boolean): void;
  /** The connection is given up: `unreachable`, or the service's refusal. */
  failed(error: ClientError): void;
  /** The service answers, but no WebSocket gets through. */
  withoutSocket(): void;
  state(state: ConnectionState): void;
  /** Whether an answer is awaited, so that a silent connection is suspect. */
  isBusy(): boolean;
}

export interface ConnectionOptions {
  rest: Rest;
  socket: SocketConstructor;
  windowBytes: number;
  /** Events after this one are asked for at the first attach; null: none before now. */
  after: number | null;
  /** How long the first connection may take, and each later one. */
  openTimeoutMs: number;
  resumeTimeoutMs: number;
  listener: ConnectionListener;
}

export class Connection {
  readonly #options: ConnectionOptions;
  readonly #requests = new Requests((message) => this.send(message));
  readonly #acknowledger: Acknowledger;
  #state: ConnectionState = "idle";
  #socket: SocketLike | null = null;
  #lastSeq: number | null;
  #wasOpen = false;
  #refused = 0;
  #pauseMs = FIRST_PAUSE_MS;
  #pause: ReturnType<typeof setTimeout> | undefined;
  #watch: ReturnType<typeof setInterval> | undefined;
  #silentRounds = 0;
  #giveUpAtMs = 0;

  constructor(options: ConnectionOptions) {
    this.#options = options;
    this.#lastSeq = options.after;
    this.#acknowledger = new Acknowledger(options.windowBytes, () =>
      this.#lastSeq === null ? false : this.send({ type: "ack", seq: this.#lastSeq }),
    );
  }

  /** The last event that came; null before the first. */
  get lastSeq(): number | null {
    return this.#lastSeq;
  }

  /** Opens the connection unless it is open, or on its way there. */
  open(): void {
    if (this.#state === "closed") throw new ClientError("closed", "The client is closed.");
    if (this.#state !== "idle") return;
    this.#giveUpAtMs = Date.now() + this.#options.openTimeoutMs;
    void this.#connect();
  }

  /** @returns false while there is no open socket; the message is then not sent. */
  send(message: Outgoing): boolean {
    if (this.#state !== "open" || this.#socket?.readyState !== OPEN) return false;
    this.#socket.send(JSON.stringify(message));
    return true;
  }

  /**
   * Sends a message as soon as the socket is open, and waits for its answer.
   *
   * @param isRepeatable doing it twice is as doing it once, so that it is sent again after a break.
   * @throws ClientError the service's problem, `connection_lost`, `deadline`, or why there is no connection.
   */
  ask(message: Outgoing, isRepeatable: boolean): Promise<Incoming> {
    this.open();
    return this.#requests.ask(message, isRepeatable);
  }

  /** Stops acknowledging while a consumer is behind, so that the service sends no more than the window. */
  hold(isHeld: boolean): void {
    this.#acknowledger.hold(isHeld);
  }

  close(): void {
    this.#leave("closed");
    this.#requests.fail(new ClientError("closed", "The client was closed."));
  }

  async #connect(): Promise<void> {
    this.#become("connecting");
    let socket: SocketLike;
    try {
      const { endpoint } = this.#options.rest;
      const protocols = await endpoint.subprotocols();
      if (this.#state !== "connecting") return;
      socket = new this.#options.socket(endpoint.socketUrl(), protocols);
    } catch (error) {
      this.#giveUp(new ClientError("unreachable", "The WebSocket cannot be made.", {}, error));
      return;
    }
    this.#socket = socket;
    socket.addEventListener("open", () => this.#opened(socket));
    socket.addEventListener("message", ({ data }) => this.#received(socket, data));
    socket.addEventListener("close", () => void this.#broke(socket));
    // A close follows each error and says no less.
    socket.addEventListener("error", () => undefined);
  }

  #opened(socket: SocketLike): void {
    if (socket !== this.#socket) return;
    this.#wasOpen = true;
    this.#refused = 0;
    this.#pauseMs = FIRST_PAUSE_MS;
    this.#silentRounds = 0;
    this.#become("open");
    this.#acknowledger.startOver();
    const { windowBytes: window, listener } = this.#options;
    this.send({ type: "attach", window, ...(this.#lastSeq === null ? {} : { after: this.#lastSeq }) });
    this.#watch = setInterval(() => this.#look(), WATCH_EVERY_MS);
    listener.opened();
    this.#requests.sendAll();
  }

  #received(socket: SocketLike, text: unknown): void {
    if (socket !== this.#socket || typeof text !== "string") return;
    this.#silentRounds = 0;
    const message = JSON.parse(text) as Incoming;
    const { listener } = this.#options;
    const event = eventOf(message);
    if (event !== null) {
      this.#lastSeq = Math.max(this.#lastSeq ?? 0, event.seq);
      listener.message(message);
      this.#acknowledger.count(text.length);
      return;
    }
    if (message.type === "gap") this.#lastSeq = Math.max(this.#lastSeq ?? 0, message.data.to);
    if (this.#requests.settle(message)) return;
    if (message.type !== "attached") {
      listener.message(message);
      return;
    }
    const { last_seq: lastSeq } = message.data;
    // A session that expired and was made anew counts from the beginning again.
    const isAnother = this.#lastSeq !== null && lastSeq < this.#lastSeq;
    this.#lastSeq = lastSeq;
    listener.attached(message.data, isAnother);
  }

  /** Notices a connection over which nothing comes any more though nobody closed it. */
  #look(): void {
    if (!this.#options.listener.isBusy() && this.#requests.size === 0) {
      this.#silentRounds = 0;
      return;
    }
    this.#silentRounds += 1;
    if (this.#silentRounds < SILENT_ROUNDS) this.send({ type: "ping" });
    else if (this.#socket !== null) void this.#broke(this.#socket);
  }

  async #broke(socket: SocketLike): Promise<void> {
    if (socket !== this.#socket) return;
    const wasOpen = this.#state === "open";
    this.#drop();
    this.#requests.loseSent();
    if (wasOpen) this.#giveUpAtMs = Date.now() + this.#options.resumeTimeoutMs;
    if (!this.#options.listener.isBusy() && this.#requests.size === 0) {
      this.#become("idle");
      return;
    }
    this.#become("waiting");
    if (!wasOpen && (await this.#isRefused())) return;
    if (this.#state !== "waiting") return;
    if (Date.now() + this.#pauseMs > this.#giveUpAtMs) {
      const { origin } = this.#options.rest.endpoint.restUrl("");
      this.#giveUp(new ClientError("unreachable", `${origin} does not answer.`));
      return;
    }
    this.#pause = setTimeout(() => void this.#connect(), this.#pauseMs * (0.5 + Math.random()));
    this.#pauseMs = Math.min(LONGEST_PAUSE_MS, this.#pauseMs * 2);
  }

  /** Asks over HTTP why no socket was opened, which a WebSocket does not tell. @returns true where no later try would help. */
  async #isRefused(): Promise<boolean> {
    const { rest, listener } = this.#options;
    try {
      await rest.json("GET", "session", { query: { session: rest.endpoint.session }, deadlineMs: WATCH_EVERY_MS });
    } catch (error) {
      if (!(error instanceof ClientError)) throw error;
      const isFinal = error.status >= 400 && error.status < 500 && error.status !== 429 && this.#state === "waiting";
      if (isFinal) this.#giveUp(error);
      return isFinal;
    }
    this.#refused += 1;
    if (this.#wasOpen || this.#refused < REFUSED_SOCKETS || this.#state !== "waiting") return false;
    this.#leave("idle");
    listener.withoutSocket();
    this.#requests.fail(new ClientError("unreachable", "The service answers, but no WebSocket gets through."));
    return true;
  }

  #giveUp(error: ClientError): void {
    this.#leave("idle");
    this.#options.listener.failed(error);
    this.#requests.fail(error);
  }

  #leave(state: "idle" | "closed"): void {
    this.#drop();
    clearTimeout(this.#pause);
    this.#pauseMs = FIRST_PAUSE_MS;
    this.#become(state);
  }

  #drop(): void {
    clearInterval(this.#watch);
    this.#acknowledger.stop();
    const socket = this.#socket;
    this.#socket = null;
    socket?.close();
  }

  #become(state: ConnectionState): void {
    if (this.#state === "closed" || this.#state === state) return;
    this.#state = state;
    this.#options.listener.state(state);
  }
}
