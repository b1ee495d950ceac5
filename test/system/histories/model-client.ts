/** Owns one client that goes on through everything: it opens its socket again, sends again what has no ending, and keeps its history. */
import { setTimeout as sleep } from "node:timers/promises";
import { type Frame, SocketClient } from "../../support/socket-client.ts";
import { type Attempt, codeOf, type History, noteLost } from "./history.ts";

/** How long a client waits for an ending while everything is healed. It is a deadline, not a pause. */
const PATIENCE_MS = 180_000;
const LOOK_EVERY_MS = 500;
const RETRY_MS = 100;

export interface Step {
  seconds: number;
  dies: boolean;
}

export class ModelClient {
  readonly history: History;
  readonly #url: string;
  readonly #http: string;
  #socket: SocketClient | null = null;
  #after = 0;
  #number = 0;
  #sentAgain: string | null = null;

  constructor(http: string, socketUrl: string, clientId: string) {
    this.#http = http;
    this.#url = socketUrl;
    this.history = { clientId, attempts: [], live: [], lost: new Set(), replayed: [], state: [] };
  }

  /** Runs one execution to its ending, or until it is refused. @returns its ending, or the problem. */
  async run({ seconds, dies }: Step): Promise<Frame> {
    this.#number += 1;
    const attempt: Attempt = {
      id: `${this.history.clientId}-${this.#number}`,
      number: this.#number,
      isRefused: false,
    };
    this.history.attempts.push(attempt);
    const code = codeOf(attempt.number, seconds, dies);
    const deadline = Date.now() + PATIENCE_MS;
    let sentOn: SocketClient | null = null;
    while (Date.now() < deadline) {
      const socket = await this.#open(deadline);
      if (sentOn !== null && sentOn !== socket) this.#sentAgain = attempt.id;
      if (sentOn !== socket) socket.send({ type: "execute", id: attempt.id, code, timeout: 60 });
      sentOn = socket;
      const frame = await this.#next(socket);
      if (frame === null) continue;
      if (frame.type === "problem" && frame.id === attempt.id) {
        attempt.isRefused = true;
        return frame;
      }
      const isEnding = frame.type === "result" || frame.type === "error";
      if (isEnding && frame.data.execution_id === attempt.id) return frame;
    }
    const now = await this.#call("GET", `/api/v1/executions/${attempt.id}`);
    const session = await this.#call("GET", "/api/v1/session");
    throw new Error(`${attempt.id} has no ending: ${JSON.stringify(now.body)} ${JSON.stringify(session.body)}`);
  }

  /** Reads the state and the journal at the end. */
  async finish(): Promise<void> {
    const { history } = this;
    for (;;) {
      this.history.attempts.push({ id: `${history.clientId}-end`, number: -1, isRefused: false });
      const answer = await this.#call("POST", "/api/v1/execute?wait=60", {
        id: `${history.clientId}-end`,
        code: "globals().get('history', [])",
      });
      this.history.attempts.pop();
      if (answer.status === 200) {
        const { result, restored } = answer.body as { result: { value: number[] } | null; restored: object | null };
        noteLost({ type: "", data: { restored } }, history.lost);
        if (result === null) throw new Error(`${history.clientId}: ${JSON.stringify(answer.body)}`);
        history.state = result.value;
        break;
      }
      if (answer.status !== 503 && answer.status !== 502) {
        throw new Error(`${history.clientId}: ${JSON.stringify(answer)}`);
      }
      await sleep(LOOK_EVERY_MS);
    }
    const overview = await this.#call("GET", "/api/v1/session");
    noteLost({ type: "", data: overview.body }, history.lost);
    const isTheEnd = (frame: Frame) => frame.data.execution_id === `${history.clientId}-end`;
    const reader = await SocketClient.open(this.#url, { clientId: history.clientId });
    reader.send({ type: "attach", after: 0 });
    await reader.until((frame) => frame.type === "attached");
    history.replayed = reader.frames.filter((frame) => frame.seq !== undefined && !isTheEnd(frame));
    await reader.close();
    // What this socket missed comes when it attaches again.
    this.#socket?.cut();
    this.#socket = null;
    const socket = await this.#open(Date.now() + PATIENCE_MS);
    for (let frame = await this.#next(socket); frame?.type !== "attached"; frame = await this.#next(socket)) {
      if (frame === null) throw new Error(`${history.clientId}: the socket does not attach`);
    }
    await socket.close();
    history.live = history.live.filter((frame) => !isTheEnd(frame));
  }

  /** The socket is cut, as a lost network does. */
  cut(): void {
    this.#socket?.cut();
  }

  async #open(deadline: number): Promise<SocketClient> {
    while (this.#socket === null || this.#socket.closed !== null) {
      try {
        this.#socket = await SocketClient.open(this.#url, { clientId: this.history.clientId });
        this.#socket.send({ type: "attach", after: this.#after });
      } catch (error) {
        if (Date.now() > deadline) throw error;
        await sleep(RETRY_MS);
      }
    }
    return this.#socket;
  }

  /** The next message; null if none came for a while, or if the socket broke. */
  async #next(socket: SocketClient): Promise<Frame | null> {
    let frame: Frame;
    try {
      frame = await socket.next(LOOK_EVERY_MS);
    } catch (error) {
      if (error instanceof Error && /^(closed|no frame)/.test(error.message)) return null;
      throw error;
    }
    noteLost(frame, this.history.lost);
    // The events of an execution that is sent again come again, which the contract says.
    const isAgain = frame.data?.execution_id === this.#sentAgain && (frame.seq ?? 0) <= this.#after;
    if (frame.seq !== undefined && !isAgain) {
      this.history.live.push(frame);
      this.#after = Math.max(this.#after, frame.seq);
    }
    return frame;
  }

  /** Each call may be made again after its connection broke: an `execute` has an id. */
  async #call(method: string, path: string, body?: object): Promise<{ status: number; body: unknown }> {
    const deadline = Date.now() + PATIENCE_MS;
    for (;;) {
      try {
        const answer = await fetch(`${this.#http}${path}`, {
          method,
          headers: { "client-id": this.history.clientId },
          ...(body === undefined ? {} : { body: JSON.stringify(body) }),
        });
        return { status: answer.status, body: await answer.json() };
      } catch (error) {
        // `fetch` fails with a TypeError if the network does.
        if (!(error instanceof TypeError) || Date.now() > deadline) throw error;
        await sleep(RETRY_MS);
      }
    }
  }
}
