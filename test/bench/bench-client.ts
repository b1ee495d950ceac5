// The leanest client of the service: one socket, each frame parsed once, one waiter; so that it hardly shows in a figure.
import { randomUUID } from "node:crypto";
import { once } from "node:events";
import WebSocket from "ws";

interface Frame {
  readonly type: string;
  readonly seq?: number;
  readonly id?: string;
  // biome-ignore lint/suspicious/noExplicitAny: a measurement looks at one field and trusts it; tests hold frames to the contract
  readonly data: any;
}

/** One execution as its client saw it. */
export interface Run {
  /** From sending to the result or error, in milliseconds. */
  readonly milliseconds: number;
  readonly last: Frame;
  /** When each piece of output came, on the wall clock in seconds, and its text. */
  readonly output: readonly { readonly at: number; readonly text: string }[];
}

export interface OpenOptions {
  readonly clientId?: string;
  /** Bytes that may be on the way unacknowledged; each eighth of it is acknowledged at once. */
  readonly windowBytes?: number;
}

const deadlineMs = 120_000;

export class BenchClient {
  readonly clientId: string;
  readonly #socket: WebSocket;
  readonly #listeners = new Set<(frame: Frame) => void>();

  private constructor(socket: WebSocket, clientId: string) {
    this.#socket = socket;
    this.clientId = clientId;
    // Each waiter listens for the end of the socket.
    socket.setMaxListeners(0);
    socket.on("message", (raw: Buffer) => {
      const frame: Frame = JSON.parse(raw.toString());
      for (const listener of this.#listeners) listener(frame);
    });
  }

  static async open(socketUrl: string, options: OpenOptions = {}): Promise<BenchClient> {
    const clientId = options.clientId ?? randomUUID();
    const socket = new WebSocket(`${socketUrl}?client_id=${clientId}`, {
      perMessageDeflate: false,
      maxPayload: 1 << 27,
    });
    const client = new BenchClient(socket, clientId);
    await once(socket, "open");
    if (options.windowBytes !== undefined) {
      client.#acknowledge(options.windowBytes / 8);
      const attached = client.#next((frame) => frame.type === "attached");
      client.#send({ type: "attach", window: options.windowBytes });
      await attached;
    }
    return client;
  }

  /** Runs `code` to its end. An error of the code is an answer like any other. */
  async run(code: string, options: Record<string, unknown> = {}): Promise<Run> {
    const id = randomUUID();
    const output: { at: number; text: string }[] = [];
    const startedAt = performance.now();
    const ended = this.#next((frame) => {
      if (frame.type === "problem" && frame.id === id) throw new Error(JSON.stringify(frame.data));
      if (frame.data?.execution_id !== id) return false;
      if (frame.type === "output") {
        output.push({ at: (performance.timeOrigin + performance.now()) / 1000, text: frame.data.data });
      }
      return frame.type === "result" || frame.type === "error";
    });
    this.#send({ type: "execute", id, code, ...options });
    const last = await ended;
    return { milliseconds: performance.now() - startedAt, last, output };
  }

  /** Runs code that must succeed. */
  async must(code: string, options: Record<string, unknown> = {}): Promise<Run> {
    const run = await this.run(code, options);
    if (run.last.type !== "result") throw new Error(`${code}: ${JSON.stringify(run.last.data)}`);
    return run;
  }

  /** Answers each tool call of every execution with null, as soon as it comes. @returns how to stop. */
  answerTools(): () => void {
    const listener = (frame: Frame) => {
      if (frame.type === "tool_call") this.#send({ type: "tool_result", call_id: frame.data.call_id, value: null });
    };
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Sends a message and waits for its answer, of type `answer`. */
  async ask(message: Record<string, unknown>, answer: string): Promise<Frame> {
    const id = randomUUID();
    const answered = this.#next((frame) => {
      if (frame.id !== id) return false;
      if (frame.type === "problem") throw new Error(JSON.stringify(frame.data));
      return frame.type === answer;
    });
    this.#send({ ...message, id });
    return answered;
  }

  /** Waits for the first output, whichever execution it belongs to. */
  async firstOutput(): Promise<void> {
    await this.#next((frame) => frame.type === "output");
  }

  async close(): Promise<void> {
    const closed = once(this.#socket, "close");
    this.#socket.close(1000);
    await closed;
  }

  #send(message: Record<string, unknown>): void {
    this.#socket.send(JSON.stringify(message));
  }

  #next(accept: (frame: Frame) => boolean): Promise<Frame> {
    return new Promise((resolve, reject) => {
      const settle = (finish: () => void) => {
        clearTimeout(timer);
        this.#listeners.delete(listener);
        this.#socket.off("close", onClose);
        finish();
      };
      const listener = (frame: Frame) => {
        try {
          if (accept(frame)) settle(() => resolve(frame));
        } catch (error) {
          settle(() => reject(error));
        }
      };
      const onClose = (code: number) => settle(() => reject(new Error(`the socket closed with ${code}`)));
      const timer = setTimeout(() => settle(() => reject(new Error(`no answer in ${deadlineMs} ms`))), deadlineMs);
      this.#listeners.add(listener);
      this.#socket.once("close", onClose);
    });
  }

  #acknowledge(everyBytes: number): void {
    let bytes = 0;
    this.#socket.on("message", (raw: Buffer) => {
      bytes += raw.length;
      if (bytes < everyBytes) return;
      const seq = /^\{"type":"[a-z_]+","seq":(\d+)/.exec(raw.toString("latin1", 0, 80))?.[1];
      if (seq === undefined) return;
      bytes = 0;
      this.#send({ type: "ack", seq: Number(seq) });
    });
  }
}
