/** The far side of a client as a test scripts it: sockets that it opens, breaks and writes to, and answers to calls. */
import { Endpoint, type SocketLike } from "../../src/client/endpoint.ts";
import { Rest } from "../../src/client/rest.ts";

type Listener = (event: { data: unknown }) => void;

export class ScriptedSocket implements SocketLike {
  readyState = 0;
  readonly sent: { type: string; id?: string; [field: string]: unknown }[] = [];
  readonly #listeners = new Map<string, Listener[]>();

  addEventListener(type: string, listener: Listener | (() => void)): void {
    this.#listeners.set(type, [...(this.#listeners.get(type) ?? []), listener as Listener]);
  }

  send(text: string): void {
    this.sent.push(JSON.parse(text));
  }

  close(): void {
    this.readyState = 3;
  }

  open(): void {
    this.readyState = 1;
    this.#tell("open");
  }

  /** As a lost network does. */
  break(): void {
    this.readyState = 3;
    this.#tell("close");
  }

  receive(message: unknown): void {
    this.#tell("message", JSON.stringify(message));
  }

  #tell(type: string, text?: string): void {
    for (const listener of this.#listeners.get(type) ?? []) listener({ data: text });
  }
}

/** Calls get what `answer` gives for their path. */
export function scriptedService(answer: (path: string) => Response = () => Response.json({})) {
  const sockets: ScriptedSocket[] = [];
  class Socket extends ScriptedSocket {
    constructor() {
      super();
      sockets.push(this);
    }
  }
  const calls: string[] = [];
  const rest = new Rest(
    new Endpoint({
      url: "http://service",
      fetch: async (input) => {
        const { pathname } = new URL(String(input));
        calls.push(pathname);
        return answer(pathname);
      },
    }),
  );
  return { rest, Socket, sockets, calls };
}

export function attached(lastSeq: number) {
  const data = { last_seq: lastSeq, first_seq: 0, pending_input: null, pending_tool_calls: [], running: null };
  return { type: "attached", data: { client_id: "c", session: "default", state: "ready", ...data } };
}

export function output(seq: number, executionId: string, text: string) {
  const data = { id: "m", timestamp: 0, execution_id: executionId, type: "output", stream: "stdout", data: text };
  return { type: "output", seq, data };
}

export function result(seq: number, executionId: string, value: unknown) {
  const common = { id: "m", timestamp: 0, execution_id: executionId };
  const data = { ...common, type: "result", value, repr: String(value), execution_time: 0, transaction: "committed" };
  return { type: "result", seq, data };
}
