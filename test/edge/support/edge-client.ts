/** A client of the edge inside workerd, and the strings that steer the scripted runner behind it. */
import { exports, env as testEnv } from "cloudflare:workers";
import { inject } from "vitest";
import type { Bindings } from "../../../src/env.ts";
import type { ClientSession } from "../../../src/object/client-session.ts";

export const env = testEnv as unknown as Bindings;
const edge = (exports as unknown as { default: { fetch(request: Request): Promise<Response> } }).default;
const RUNNER_TOKEN = "r".repeat(32);
const WAIT_MS = 40_000;

export interface Frame {
  type: string;
  seq?: number;
  id?: string;
  checkpoint_id?: string;
  // biome-ignore lint/suspicious/noExplicitAny: tests look into frames freely
  data: any;
}

export function runnerUrl(): string {
  return (inject as unknown as (key: string) => string)("scriptedRunnerUrl");
}

/** Steers the scripted runner's sessions of one client, or the one with that key. */
// biome-ignore lint/suspicious/noExplicitAny: its answers are as free as its commands
export async function control(command: string, clientIdOrKey: string): Promise<any> {
  const body = clientIdOrKey.startsWith("s_") ? clientIdOrKey : objectId(clientIdOrKey).toString();
  const answer = await fetch(`${runnerUrl()}/control/${command}`, { method: "POST", body });
  if (!answer.ok) throw new Error(await answer.text());
  return answer.json();
}

/** Makes the scripted runner known to the Fleet; reports last 20 s. */
export async function registerRunner(id = "scripted", environments?: string[]): Promise<void> {
  const answer = await call("POST", "/internal/v1/heartbeat", {
    headers: { authorization: `Bearer ${RUNNER_TOKEN}` },
    body: {
      id,
      url: runnerUrl(),
      capacity: 1000,
      sessions: 0,
      draining: false,
      environments,
      version: "0",
      capabilities: {
        version: "0",
        python: { version: "3.11.2", implementation: "CPython" },
        serializer: { name: "source", version: null },
        sandbox: { kind: "none", isolated: false, network: true, seccomp: false, detail: "scripted" },
        limits: {},
      },
    },
  });
  if (answer.status !== 204) throw new Error(`heartbeat: ${answer.status}`);
}

/** What a runner does when there is news and no link. */
export async function ring(clientId: string, key: string): Promise<number> {
  const answer = await call("POST", "/internal/v1/ring", {
    headers: { authorization: `Bearer ${RUNNER_TOKEN}` },
    body: { object: objectId(clientId).toString(), session: "default", key },
  });
  return answer.status;
}

export function objectId(clientId: string): DurableObjectId {
  return env.CLIENT_SESSIONS.idFromName(JSON.stringify(["anonymous", clientId]));
}

export function stubOf(clientId: string): DurableObjectStub<ClientSession> {
  return env.CLIENT_SESSIONS.get(objectId(clientId)) as unknown as DurableObjectStub<ClientSession>;
}

interface CallInit {
  headers?: Record<string, string>;
  body?: unknown;
  clientId?: string;
}

// biome-ignore lint/suspicious/noExplicitAny: tests look into answers freely
type Answer = { status: number; body: any; headers: Headers };

export async function call(method: string, path: string, init: CallInit = {}): Promise<Answer> {
  const answer = await open(method, path, init);
  // workerd warns of `text()` on a body that does not say that it is text, such as NDJSON.
  const text = new TextDecoder().decode(await answer.arrayBuffer());
  const isJson = (answer.headers.get("content-type") ?? "").includes("json") && !path.includes("/events");
  return { status: answer.status, headers: answer.headers, body: isJson ? JSON.parse(text) : text };
}

export function open(method: string, path: string, { headers = {}, body, clientId }: CallInit = {}): Promise<Response> {
  return edge.fetch(
    new Request(`https://edge.test${path}`, {
      method,
      headers: {
        ...(clientId === undefined ? {} : { "client-id": clientId }),
        ...(body === undefined ? {} : { "content-type": "application/json" }),
        ...headers,
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    }),
  );
}

/** A call whose body is no JSON. */
export function edgeFetch(path: string, init: RequestInit): Promise<Response> {
  return edge.fetch(new Request(`https://edge.test${path}`, init as RequestInit<IncomingRequestCfProperties>));
}

export class EdgeClient {
  readonly frames: Frame[] = [];
  readonly clientId: string;
  readonly #ws: WebSocket;
  closed: { code: number } | null = null;
  /** False keeps the client from looking at what comes, acknowledgements included. */
  acknowledges = false;
  #taken = 0;
  #wake: (() => void) | null = null;

  private constructor(clientId: string, ws: WebSocket) {
    this.clientId = clientId;
    this.#ws = ws;
    ws.addEventListener("message", (message) => {
      const frame = JSON.parse(message.data as string) as Frame;
      this.frames.push(frame);
      if (this.acknowledges && frame.seq !== undefined) this.send({ type: "ack", seq: frame.seq });
      this.#wake?.();
    });
    ws.addEventListener("close", (event) => {
      this.closed = { code: event.code };
      this.#wake?.();
    });
    ws.accept();
  }

  static async open(clientId: string, query = ""): Promise<EdgeClient> {
    const answer = await open("GET", `/ws/v1/session?client_id=${clientId}${query}`, {
      headers: { upgrade: "websocket" },
    });
    if (answer.webSocket === null) throw new Error(`no socket: ${answer.status} ${await answer.text()}`);
    return new EdgeClient(clientId, answer.webSocket);
  }

  send(message: unknown): void {
    this.#ws.send(typeof message === "string" ? message : JSON.stringify(message));
  }

  sendBinary(bytes: ArrayBuffer): void {
    this.#ws.send(bytes);
  }

  async next(what = "a frame"): Promise<Frame> {
    const deadline = Date.now() + WAIT_MS;
    while (this.frames.length <= this.#taken) {
      if (this.closed !== null) throw new Error(`closed with ${this.closed.code} before ${what}`);
      const left = deadline - Date.now();
      if (left <= 0) throw new Error(`no ${what}; last: ${JSON.stringify(this.frames.slice(-3))}`);
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, left);
        this.#wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
    const frame = this.frames[this.#taken] as Frame;
    this.#taken += 1;
    return frame;
  }

  async until(accept: (frame: Frame) => boolean, what = "such a frame"): Promise<Frame> {
    for (;;) {
      const frame = await this.next(what);
      if (accept(frame)) return frame;
    }
  }

  untilType(type: string, executionId?: string): Promise<Frame> {
    return this.until(
      (frame) => frame.type === type && (executionId === undefined || frame.data.execution_id === executionId),
      `${type} ${executionId ?? ""}`,
    );
  }

  /** Runs a script and gives its events. */
  async run(code: string, id = crypto.randomUUID() as string): Promise<Frame[]> {
    this.send({ type: "execute", id, code });
    const events: Frame[] = [];
    await this.until((frame) => {
      if (frame.type === "problem" && frame.id === id) throw new Error(JSON.stringify(frame.data));
      if (frame.data?.execution_id !== id) return false;
      events.push(frame);
      return frame.type === "result" || frame.type === "error";
    }, `the end of ${id}`);
    return events;
  }

  async value(code: string): Promise<unknown> {
    return (await this.run(code)).at(-1)?.data.value;
  }

  close(code = 1000): void {
    this.#ws.close(code);
  }
}

export const seqsOf = (frames: readonly Frame[]) => frames.flatMap((frame) => frame.seq ?? []);
export const textOf = (frames: readonly Frame[]) =>
  frames.flatMap((frame) => (frame.type === "output" ? [frame.data.data as string] : [])).join("");
