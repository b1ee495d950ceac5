/** Owns the messages that wait for an answer: by id, each with a deadline, and what becomes of them when the connection breaks. */
import { ClientError } from "./client-error.ts";
import type { Incoming, Outgoing } from "./wire.ts";

const DEADLINE_MS = 120_000;
/** The service refused these before it looked at them, so they are sent again. */
const MAX_RETRIES = 5;

interface Waiting {
  message: Outgoing;
  isRepeatable: boolean;
  isSent: boolean;
  retries: number;
  timer: ReturnType<typeof setTimeout>;
  resolve(answer: Incoming): void;
  reject(error: ClientError): void;
}

export class Requests {
  readonly #send: (message: Outgoing) => boolean;
  readonly #waiting = new Map<string, Waiting>();

  constructor(send: (message: Outgoing) => boolean) {
    this.#send = send;
  }

  get size(): number {
    return this.#waiting.size;
  }

  ask(message: Outgoing, isRepeatable: boolean): Promise<Incoming> {
    const id = crypto.randomUUID();
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#waiting.delete(id);
        reject(new ClientError("deadline", `${message.type} was not answered within ${DEADLINE_MS / 1000} s.`));
      }, DEADLINE_MS);
      const whole = { ...message, id } as Outgoing;
      const waiting = { message: whole, isRepeatable, isSent: false, retries: 0, timer, resolve, reject };
      this.#waiting.set(id, waiting);
      waiting.isSent = this.#send(whole);
    });
  }

  /** @returns true where the message answers one of these. */
  settle(answer: Incoming): boolean {
    const { id } = answer;
    const waiting = id === undefined ? undefined : this.#waiting.get(id);
    if (id === undefined || waiting === undefined) return false;
    if (answer.type === "problem") {
      const { code, retry_after: seconds = 1 } = answer.data;
      if (code === "rate_limited" && waiting.retries < MAX_RETRIES) {
        waiting.retries += 1;
        setTimeout(() => {
          if (this.#waiting.has(id)) waiting.isSent = this.#send(waiting.message);
        }, seconds * 1000);
        return true;
      }
      this.#end(id, waiting);
      waiting.reject(ClientError.of(answer.data));
      return true;
    }
    this.#end(id, waiting);
    waiting.resolve(answer);
    return true;
  }

  /** A socket is open: sends what was not sent, or may be sent again. */
  sendAll(): void {
    for (const waiting of this.#waiting.values()) {
      if (!waiting.isSent) waiting.isSent = this.#send(waiting.message);
    }
  }

  /** The socket broke: what was sent and may not be repeated fails, since nobody knows whether it was done. */
  loseSent(): void {
    for (const [id, waiting] of this.#waiting) {
      if (!waiting.isSent) continue;
      if (waiting.isRepeatable) {
        waiting.isSent = false;
        continue;
      }
      this.#end(id, waiting);
      const { type } = waiting.message;
      waiting.reject(new ClientError("connection_lost", `The connection broke before ${type} was answered.`));
    }
  }

  fail(error: ClientError): void {
    for (const [id, waiting] of this.#waiting) {
      this.#end(id, waiting);
      waiting.reject(error);
    }
  }

  #end(id: string, waiting: Waiting): void {
    clearTimeout(waiting.timer);
    this.#waiting.delete(id);
  }
}
