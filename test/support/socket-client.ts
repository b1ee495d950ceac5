/** A bare WebSocket client for tests: it keeps every frame as it came and waits for the one that a test asks for. */
import WebSocket from "ws";
import { ServerMessage } from "../../src/protocol/server-message.ts";

export interface Frame {
  type: string;
  seq?: number;
  id?: string;
  checkpoint_id?: string;
  // biome-ignore lint/suspicious/noExplicitAny: tests look into frames freely; `checked` holds them to the contract
  data: any;
}

export interface SocketClientOptions {
  clientId?: string;
  session?: string;
  headers?: Record<string, string>;
  protocols?: string[];
  /** Validates every frame against the contract as it arrives (default true). */
  checked?: boolean;
  /** Acknowledges each event as it arrives. */
  acknowledge?: boolean;
}

const WAIT_MS = 60_000;

export class SocketClient {
  readonly frames: Frame[] = [];
  readonly socket: WebSocket;
  closed: { code: number; reason: string } | null = null;
  upgradeHeaders: NodeJS.Dict<string | string[]> = {};
  #taken = 0;
  #wake: (() => void) | null = null;
  #failure: Error | null = null;

  private constructor(socket: WebSocket, options: SocketClientOptions) {
    this.socket = socket;
    socket.on("upgrade", (response) => {
      this.upgradeHeaders = response.headers;
    });
    socket.on("message", (raw) => {
      const frame = JSON.parse(raw.toString()) as Frame;
      if (options.checked !== false) {
        const parsed = ServerMessage.safeParse(frame);
        if (!parsed.success) this.#failure ??= new Error(`${raw.toString().slice(0, 500)}: ${parsed.error.message}`);
      }
      this.frames.push(frame);
      if (options.acknowledge && frame.seq !== undefined) this.send({ type: "ack", seq: frame.seq });
      this.#wake?.();
    });
    socket.on("close", (code, reason) => {
      this.closed = { code, reason: reason.toString() };
      this.#wake?.();
    });
    socket.on("error", () => this.#wake?.());
  }

  /** Opens a socket to the product. @throws where the upgrade is refused, with status and body. */
  static async open(socketUrl: string, options: SocketClientOptions = {}): Promise<SocketClient> {
    const url = new URL(socketUrl);
    if (options.clientId !== undefined) url.searchParams.set("client_id", options.clientId);
    if (options.session !== undefined) url.searchParams.set("session", options.session);
    const socket = new WebSocket(url, options.protocols ?? [], {
      headers: options.headers ?? {},
      perMessageDeflate: false,
    });
    const client = new SocketClient(socket, options);
    await new Promise<void>((resolve, reject) => {
      socket.once("open", resolve);
      socket.once("error", reject);
      socket.once("unexpected-response", (_request, response) => {
        let body = "";
        response.on("data", (piece) => {
          body += piece;
        });
        response.on("end", () => reject(new Error(`${response.statusCode} ${body}`)));
      });
    });
    return client;
  }

  send(message: Record<string, unknown>): void {
    this.socket.send(JSON.stringify(message));
  }

  /** The next frame in order that was not taken yet. @throws after `ms`, and where a frame broke the contract. */
  async next(ms = WAIT_MS): Promise<Frame> {
    const deadline = Date.now() + ms;
    while (this.frames.length <= this.#taken) {
      if (this.#failure) throw this.#failure;
      if (this.closed) throw new Error(`closed ${this.closed.code} ${this.closed.reason}`);
      const left = deadline - Date.now();
      if (left <= 0) throw new Error(`no frame within ${ms} ms; last: ${JSON.stringify(this.frames.at(-1))}`);
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, left);
        this.#wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
    if (this.#failure) throw this.#failure;
    const frame = this.frames[this.#taken] as Frame;
    this.#taken += 1;
    return frame;
  }

  /** Takes frames up to the first that `accept` wants, and gives that one. */
  async until(accept: (frame: Frame) => boolean, ms = WAIT_MS): Promise<Frame> {
    const deadline = Date.now() + ms;
    for (;;) {
      const frame = await this.next(Math.max(1, deadline - Date.now()));
      if (accept(frame)) return frame;
    }
  }

  /** Runs code and gives all its events, the last being `result` or `error`. */
  async run(code: string, options: Record<string, unknown> = {}, ms = WAIT_MS): Promise<Frame[]> {
    const id = (options.id as string | undefined) ?? crypto.randomUUID();
    this.send({ type: "execute", code, ...options, id });
    const events: Frame[] = [];
    await this.until((frame) => {
      if (frame.type === "problem" && frame.id === id) throw new Error(JSON.stringify(frame.data));
      if (frame.data?.execution_id !== id) return false;
      events.push(frame);
      return frame.type === "result" || frame.type === "error";
    }, ms);
    return events;
  }

  /** Runs code that must succeed, and gives its `result` data. */
  // biome-ignore lint/suspicious/noExplicitAny: see Frame
  async value(code: string, options: Record<string, unknown> = {}): Promise<any> {
    const last = (await this.run(code, options)).at(-1) as Frame;
    if (last.type !== "result") throw new Error(`${code}: ${JSON.stringify(last.data)}`);
    return last.data.value;
  }

  async close(): Promise<void> {
    if (this.socket.readyState === WebSocket.CLOSED) return;
    const done = new Promise<void>((resolve) => this.socket.once("close", () => resolve()));
    this.socket.close(1000);
    await done;
  }

  /** Ends the connection without a closing handshake, as a lost network does. */
  cut(): void {
    this.socket.terminate();
  }
}

/** The text of one stream among events. */
export function textOf(events: Frame[], stream: "stdout" | "stderr" = "stdout"): string {
  return events
    .filter((event) => event.type === "output" && event.data.stream === stream)
    .map((event) => event.data.data)
    .join("");
}
