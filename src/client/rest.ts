/** Owns the SDK's HTTP calls: each has a deadline, and fails with the service's own problem. */
import type { Problem } from "../protocol/problem.ts";
import { ClientError } from "./client-error.ts";
import type { Endpoint } from "./endpoint.ts";
import type { WireEvent } from "./wire.ts";

/** A checkpoint of a large state takes its time. */
const DEADLINE_MS = 120_000;

export interface CallOptions {
  query?: Record<string, string | number | boolean | undefined>;
  /** Sent as JSON. */
  json?: unknown;
  /** Sent as it is, in place of JSON. */
  body?: NonNullable<RequestInit["body"]>;
  headers?: Record<string, string>;
  signal?: AbortSignal;
  /** For the answer's beginning; its body may take as long as it takes. */
  deadlineMs?: number;
}

function isProblem(value: unknown): value is Problem {
  return typeof value === "object" && value !== null && "code" in value && "detail" in value;
}

async function errorOf(response: Response): Promise<ClientError> {
  const text = await response.text();
  let body: unknown = null;
  try {
    body = JSON.parse(text);
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
  }
  if (isProblem(body)) return ClientError.of(body);
  return new ClientError("unexpected_answer", `The service answered ${response.status} without a problem.`, {
    status: response.status,
  });
}

export class Rest {
  readonly endpoint: Endpoint;

  constructor(endpoint: Endpoint) {
    this.endpoint = endpoint;
  }

  /** @throws ClientError where the service does not answer, or answers with a problem; the signal's reason where that aborts. */
  async call(method: string, path: string, options: CallOptions = {}): Promise<Response> {
    const { query, json, body, headers = {}, signal, deadlineMs = DEADLINE_MS } = options;
    const { endpoint } = this;
    const url = endpoint.restUrl(path, query);
    const deadline = new AbortController();
    const timer = setTimeout(() => deadline.abort(), deadlineMs);
    let response: Response;
    try {
      response = await endpoint.fetch(url, {
        method,
        headers: {
          ...(await endpoint.headers()),
          ...(json === undefined ? {} : { "content-type": "application/json" }),
          ...headers,
        },
        signal: signal === undefined ? deadline.signal : AbortSignal.any([signal, deadline.signal]),
        ...(json === undefined ? {} : { body: JSON.stringify(json) }),
        // Every runtime asks for `duplex` with a body that streams, and none objects to it with another one.
        ...(body === undefined ? {} : { body, duplex: "half" }),
      } as RequestInit);
    } catch (error) {
      if (signal?.aborted) throw signal.reason;
      if (deadline.signal.aborted) {
        throw new ClientError("deadline", `${method} ${url.pathname} took longer than ${deadlineMs / 1000} s.`);
      }
      throw new ClientError("unreachable", `${url.origin} does not answer.`, {}, error);
    } finally {
      clearTimeout(timer);
    }
    if (!response.ok) throw await errorOf(response);
    return response;
  }

  /** A call whose answer is JSON, or nothing. */
  async json<T>(method: string, path: string, options: CallOptions = {}): Promise<T> {
    const response = await this.call(method, path, options);
    const text = await response.text();
    return (text === "" ? null : JSON.parse(text)) as T;
  }

  /** A call whose answer is a stream of events, one JSON text a line. */
  async *events(method: string, path: string, options: CallOptions = {}): AsyncGenerator<WireEvent> {
    const response = await this.call(method, path, {
      ...options,
      headers: { ...options.headers, accept: "application/x-ndjson" },
    });
    if (response.body === null) return;
    for await (const line of linesOf(response.body)) yield JSON.parse(line) as WireEvent;
  }
}

/** The lines of a stream of text. */
async function* linesOf(body: ReadableStream<Uint8Array>): AsyncGenerator<string> {
  const reader = body.getReader();
  const decoder = new TextDecoder();
  // Pieces of one line, joined once, since a line may be long and come in many pieces.
  let pieces: string[] = [];
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) break;
      const lines = decoder.decode(value, { stream: true }).split("\n");
      pieces.push(lines[0] ?? "");
      for (const next of lines.slice(1)) {
        const line = pieces.join("");
        if (line !== "") yield line;
        pieces = [next];
      }
    }
    const last = pieces.join("");
    if (last.trim() !== "") yield last;
  } finally {
    await reader.cancel().catch(() => undefined);
  }
}
